"""The published detection table is what the code does now, and good enough."""

from __future__ import annotations

import pytest

from benchmarks.detection import DOCUMENT, Report, evaluate, table, written

CAUGHT = 0.95
ALARMS_PER_10_000 = 5.0


@pytest.fixture(scope="module")
def report() -> Report:
    return evaluate()


def test_two_hundred_errors_of_at_least_fifteen_kinds(report: Report) -> None:
    """A table of two kinds says nothing of the third."""
    assert len(report.rows) >= 15
    assert sum(row.planted for row in report.rows) == 200


def test_every_kind_is_caught_in_a_history_load_and_at_night(report: Report) -> None:
    """A change of a rule or a threshold that lets a kind of error through."""
    weak = {
        row.kind: (row.missed, row.missed_at_night)
        for row in report.rows
        if row.missed > (1 - CAUGHT) * row.planted or row.missed_at_night > (1 - CAUGHT) * row.nights
    }
    assert weak == {}


def test_clean_bars_are_left_alone(report: Report) -> None:
    """Who is asked about every crash soon releases everything without looking."""
    assert report.clean_alarms / report.clean_bars * 10_000 < ALARMS_PER_10_000
    assert report.alarms_beside / report.bars_beside * 10_000 < ALARMS_PER_10_000


def test_the_document_shows_this_table(report: Report) -> None:
    """Figures that nobody recomputes are wrong after the next change."""
    text = DOCUMENT.read_text()
    assert written(text, table(report)) == text, "run `python -m benchmarks.detection`"
