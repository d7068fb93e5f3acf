"""Walk-forward folds: learn from what was over before a session, predict from that session on.

After López de Prado, Advances in Financial Machine Learning (2018), chapter 7: rows whose label reaches into the
predicted sessions are purged, and an embargo keeps a further gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl


@dataclass(frozen=True, slots=True)
class Plan:
    """How folds are cut, all in sessions: the first after `first`, then one every `refit`; labels span `purge`."""

    first: int = 1_008
    refit: int = 252
    purge: int = 5
    embargo: int = 5


@dataclass(frozen=True, slots=True)
class Fold:
    """One model: it may use labels complete by `labels_until`, and predicts sessions usable_from <= s < usable_to.

    `holdout` is the fold one refit earlier: trained on what was known then, scored on the sessions since. Its
    scores are the out-of-sample metrics of this fold, and are known before `usable_from`.
    """

    usable_from: date
    usable_to: date | None
    labels_until: date
    holdout: Fold | None = None

    def training_rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows of `frame` (with session, label_end) that this fold may learn from."""
        return frame.filter(pl.col("label_end") <= self.labels_until)

    def holdout_rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Rows that the holdout's model is scored on: later than its training, complete before this fold begins."""
        if self.holdout is None:
            return frame.clear()
        return self.training_rows(frame).filter(pl.col("session") >= self.holdout.usable_from)


def folds(sessions: Sequence[date], plan: Plan) -> tuple[Fold, ...]:
    """The folds of `sessions` (ascending); fixed by the first session, so that every run cuts the same ones."""
    starts = list(range(plan.first, len(sessions), plan.refit))
    ends = (*starts[1:], None)
    return tuple(_fold(sessions, start, end, plan) for start, end in zip(starts, ends, strict=False))


def _fold(sessions: Sequence[date], start: int, end: int | None, plan: Plan) -> Fold:
    before = start - plan.refit
    return Fold(
        usable_from=sessions[start],
        usable_to=None if end is None else sessions[end],
        labels_until=_known(sessions, start, plan),
        holdout=Fold(sessions[before], sessions[start], _known(sessions, before, plan)),
    )


def _known(sessions: Sequence[date], start: int, plan: Plan) -> date:
    return sessions[max(start - 1 - plan.embargo, 0)]


def folds_of_window(every: Sequence[Fold], first: date, last: date) -> tuple[Fold, ...]:
    """The folds that predict any session of first..last."""
    return tuple(f for f in every if f.usable_from <= last and (f.usable_to is None or f.usable_to > first))
