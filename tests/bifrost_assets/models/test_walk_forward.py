"""Folds never learn from what they predict."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from bifrost_assets.models.walk_forward import Fold, Plan, folds, folds_of_window

START = date(2000, 1, 3)


def sessions(count: int) -> list[date]:
    return [day for n in range(count * 2) if (day := START + timedelta(days=n)).weekday() < 5][:count]


def labelled(days: list[date], horizon: int) -> pl.DataFrame:
    return pl.DataFrame({"session": days[:-horizon], "label_end": days[horizon:]})


PLANS = st.builds(
    Plan,
    first=st.integers(60, 200),
    refit=st.integers(5, 50),
    purge=st.integers(1, 10),
    embargo=st.integers(0, 10),
)


@given(PLANS, st.integers(70, 400))
def test_no_label_of_training_reaches_what_is_predicted(plan: Plan, count: int) -> None:
    """A label that spans into the test sessions hands the model its answers."""
    days = sessions(count)
    frame = labelled(days, plan.purge)
    for fold in folds(days, plan):
        _assert_apart(fold, frame, days, plan)
        assert fold.holdout is not None
        _assert_apart(fold.holdout, frame, days, plan)
        scored = fold.holdout_rows(frame)
        assert scored.is_empty() or scored["label_end"].max() < fold.usable_from
        assert scored.join(fold.holdout.training_rows(frame), on="session").is_empty()


def _assert_apart(fold: Fold, frame: pl.DataFrame, days: list[date], plan: Plan) -> None:
    rows = fold.training_rows(frame)
    if rows.is_empty():
        return
    start = days.index(fold.usable_from)
    last_label = days.index(rows["label_end"].max())
    assert last_label < start - plan.embargo
    assert days.index(rows["session"].max()) <= start - 1 - plan.embargo - plan.purge


@given(PLANS, st.integers(70, 400), st.integers(1, 50))
def test_folds_do_not_move_when_sessions_are_added(plan: Plan, count: int, more: int) -> None:
    """Folds that shift with each new session would retrain every night, and re-date every prediction."""
    before, after = folds(sessions(count), plan), folds(sessions(count + more), plan)
    assert all(a.usable_to == b.usable_from for a, b in pairwise(after))
    for old, new in zip(before, after, strict=False):
        assert (old.usable_from, old.labels_until, old.holdout) == (new.usable_from, new.labels_until, new.holdout)


@given(PLANS, st.data())
def test_a_window_gets_exactly_the_folds_that_predict_in_it(plan: Plan, data: st.DataObject) -> None:
    """A fold left out leaves sessions to an older model without anyone knowing."""
    days = sessions(300)
    every = folds(days, plan)
    low = data.draw(st.integers(0, 299))
    high = data.draw(st.integers(low, 299))
    wanted = {max(f for f in starts) for day in days[low : high + 1] if (starts := _started(every, day))}
    assert {f.usable_from for f in folds_of_window(every, days[low], days[high])} == wanted


def _started(every: tuple[Fold, ...], day: date) -> list[date]:
    return [f.usable_from for f in every if f.usable_from <= day]
