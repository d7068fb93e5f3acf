"""What the two strategies hold."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from bifrost_assets.strategies.library import model, momentum
from bifrost_assets.strategies.registry import strategies

DAY = date(2010, 6, 1)


def known(momentum_12_1: list[float | None], volatility: list[float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "instrument_id": list(range(1, len(volatility) + 1)),
            "session": DAY,
            "momentum_12_1": momentum_12_1,
            "volatility_21d": volatility,
        },
        schema_overrides={"momentum_12_1": pl.Float64, "volatility_21d": pl.Float64},
    )


def held(frame: pl.DataFrame) -> list[float]:
    return momentum.weights(frame)["weight"].to_list()


def test_momentum_holds_what_rose_by_inverse_volatility() -> None:
    """The calmest winner must get the most, and losers nothing."""
    low, high, loser = held(known([0.2, 0.1, -0.3], [0.10, 0.20, 0.05]))
    assert loser == 0
    assert low / high == pytest.approx(2.0)
    assert low + high == pytest.approx(1.0)  # 2/3 x 10 % + 1/3 x 20 % is below the target: no scaling


def test_momentum_is_scaled_down_to_its_volatility_target() -> None:
    """In a crash volatility trebles; the book has to shrink with it."""
    weights = held(known([0.2, 0.1], [0.80, 0.40]))
    assert weights[0] * 0.80 + weights[1] * 0.40 == pytest.approx(momentum.VOLATILITY_TARGET)


@pytest.mark.parametrize("gaps", [([None], [0.2]), ([0.3], [None]), ([-0.1], [0.2]), ([0.3], [0.0])])
def test_momentum_holds_nothing_it_cannot_measure(gaps: tuple[list[float | None], list[float | None]]) -> None:
    """A null or a zero volatility must end as 0, not as NaN or everything in one name."""
    assert held(known(*gaps)) == [0.0]


def predicted(predictions: list[list[float | None]]) -> pl.DataFrame:
    """One row of predictions per session."""
    rows = [
        (i + 1, DAY + timedelta(days=d), p, 0.2) for d, session in enumerate(predictions) for i, p in enumerate(session)
    ]
    columns = {"instrument_id": pl.Int64, "session": pl.Date, "prediction": pl.Float64, "volatility_21d": pl.Float64}
    return pl.DataFrame(rows, schema=columns, orient="row")


def test_the_model_book_is_the_last_five_predictions_books() -> None:
    """Trading each prediction at once costs five times the turnover for the same holding period."""
    frame = predicted([[0.01, -0.01]] * 3 + [[-0.01, 0.01]] * 7)
    first = model.weights(frame).filter(pl.col("instrument_id") == 1).sort("session")["weight"].to_list()
    assert first == pytest.approx([0.2, 0.4, 0.6, 0.6, 0.6, 0.4, 0.2, 0.0, 0.0, 0.0])


def test_the_model_is_silent_where_nothing_was_predicted() -> None:
    """No model yet is not the same as a model that likes nothing."""
    frame = predicted([[None, None], [0.01, None], [-0.01, -0.01]])
    got = model.weights(frame)
    assert set(got["session"]) == {DAY + timedelta(days=1), DAY + timedelta(days=2)}
    assert got.filter(pl.col("session") == DAY + timedelta(days=2))["weight"].sum() == pytest.approx(0.2)


def test_every_file_of_the_library_is_registered() -> None:
    """A strategy is one file: forgetting a list somewhere else must be impossible."""
    assert list(strategies()) == ["model", "momentum"]
    assert strategies()["model"].uses_model
    assert not strategies()["momentum"].uses_model
