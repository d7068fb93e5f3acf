"""Signals: refused when bad, traced to their model when they have one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import polars as pl
import pytest

from bifrost_assets.market_data.reference.listings import rename
from bifrost_assets.strategies import library
from bifrost_assets.strategies.registry import StrategyError, strategies
from bifrost_assets.strategies.signals import known, signals
from bifrost_assets.strategies.strategy import Strategy
from bifrost_core.warehouse.warehouse import Warehouse
from tests.bifrost_assets.research import IDS, load, sample_bars

FRAME = pl.DataFrame(
    {
        "instrument_id": [1, 2],
        "session": [date(2010, 6, 1)] * 2,
        "model_name": ["m"] * 2,
        "model_version": ["7"] * 2,
    }
)
ROWS = FRAME.select("session", "instrument_id", weight=pl.lit(0.5))


def one(weights: Callable[[pl.DataFrame], pl.DataFrame], uses_model: bool = False) -> dict[str, Strategy]:
    return {"s": Strategy("s", "planted", weights, uses_model=uses_model)}


BAD = {
    "no number": ROWS.with_columns(weight=pl.lit(float("nan"))),
    "no number (null)": ROWS.with_columns(weight=pl.lit(None, pl.Float64)),
    "not shown": ROWS.with_columns(instrument_id=pl.col("instrument_id") + 5),
    "two weights": pl.concat([ROWS, ROWS]),
}


@pytest.mark.parametrize("cause", BAD)
def test_bad_weights_are_refused_by_name(cause: str) -> None:
    """A NaN weight that reaches the batch stops trading; it has to stop here, naming the strategy."""
    with pytest.raises(StrategyError, match=f"strategy 's' .*{cause.split(' (')[0]}"):
        signals(FRAME, one(lambda _: BAD[cause]))


def test_only_model_strategies_carry_the_model() -> None:
    """A fill explained by a model that had no part in it is a wrong explanation."""
    assert set(signals(FRAME, one(lambda _: ROWS, uses_model=True))["model_version"]) == {"7"}
    assert set(signals(FRAME, one(lambda _: ROWS))["model_version"]) == {None}


@pytest.mark.parametrize(
    ("text", "cause"),
    [("x = 1", "has no STRATEGY"),
     ("from bifrost_assets.strategies.library.momentum import STRATEGY", "two strategies are named 'momentum'")],
)  # fmt: skip
def test_a_file_that_is_no_strategy_is_named(
    text: str, cause: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A typo in a new file must not silently leave the strategy out, nor trade one twice."""
    from pathlib import Path

    folder = Path(str(tmp_path))
    (folder / f"planted_{abs(len(text))}.py").write_text(text)
    monkeypatch.setattr(library, "__path__", [*library.__path__, str(folder)])
    strategies.cache_clear()
    try:
        with pytest.raises(StrategyError, match=cause):
            strategies()
    finally:
        monkeypatch.undo()
        strategies.cache_clear()


def test_strategies_see_the_members_of_each_session_under_their_names_of_then(warehouse: Warehouse) -> None:
    """Who joins an index has risen before: a strategy that sees it earlier has looked into the future."""
    days = [date(2013, 2, day) for day in (13, 14, 15)]
    load(warehouse, sample_bars().filter(pl.col("session").is_in(days)))
    with warehouse.transaction() as connection:
        connection.execute(
            "insert into features.daily (instrument_id, session, available_at, data_version, code_version,"
            " dagster_run_id) select instrument_id, session, now(), 'd', 'c', 'r' from raw.daily_bars"
        )
        connection.execute("delete from reference.universe_members where instrument_id <> all(%s)", ([1, 2, 4],))
        connection.execute("update reference.universe_members set valid_from = %s where instrument_id = 1", (days[1],))
        connection.execute("update reference.universe_members set valid_to = %s where instrument_id = 4", (days[2],))
        rename(connection, warehouse.settings, "FB", "META", days[1], "me")
    seen = known(warehouse, days[1], days[2], lookback=1)
    assert seen.filter(pl.col("instrument_id") == IDS["FB"])["symbol"].to_list() == ["FB", "META", "META"]
    by_session = seen.group_by("session").agg(pl.col("symbol").sort()).sort("session")["symbol"].to_list()
    assert by_session == [["FB", "IBM"], ["AAPL", "IBM", "META"], ["AAPL", "META"]]
