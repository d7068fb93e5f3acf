"""The planted defects are where the catalogue says."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.mutants.__main__ import copied, plant
from benchmarks.mutants.catalogue import MUTANTS

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_its_text_occurs_exactly_once(mutant):
    """A defect that is planted nowhere, or in two places, is counted and means nothing."""
    text = (ROOT / mutant.file).read_text()
    assert text.count(mutant.old) == 1
    assert mutant.new != mutant.old
    assert all((ROOT / test).exists() for test in mutant.tests)


def test_there_are_enough_and_each_has_a_name_of_its_own():
    """A regime that is measured by three defects measures nothing."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 35


def test_the_copy_has_the_defect_and_the_tree_does_not():
    """A defect that reached the product would be traded."""
    mutant = MUTANTS[0]
    with copied() as tree:
        plant(mutant, tree)
        assert mutant.new in (tree / mutant.file).read_text()
    assert mutant.new not in (ROOT / mutant.file).read_text()
