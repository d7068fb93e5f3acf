"""The planted defects are where the catalogue says, and the judge of them calls nothing caught that is not."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.mutants.catalogue import MUTANTS
from benchmarks.mutants.judge import Judge, copied, plant
from benchmarks.mutants.mutant import Mutant

ROOT = Path(__file__).resolve().parents[3]
SALE = next(mutant for mutant in MUTANTS if mutant.name == "sale_is_purchase")
TEST = "tests/bifrost_core/trading/test_positions.py"
WATCH = "execution_daemon/simulation/watch.py"


@pytest.fixture
def tree():
    with copied() as folder:
        yield folder


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_its_text_occurs_exactly_once(mutant):
    """A defect that is planted nowhere, or in two places, is counted and means nothing."""
    text = (ROOT / mutant.file).read_text()
    assert text.count(mutant.old) == 1
    assert mutant.new != mutant.old
    assert all((ROOT / test.partition("::")[0]).exists() for test in mutant.tests)


@pytest.mark.parametrize("mutant", [one for one in MUTANTS if one.file.endswith(".sql")], ids=lambda one: one.name)
def test_what_it_spoils_in_a_migration_is_not_replaced_by_a_later_one(mutant):
    """The defect would be planted in a function that nobody calls."""
    function = re.compile(r"create (?:or replace )?function ([\w.]+)\(")
    path = ROOT / mutant.file
    (*_, spoilt) = function.findall(path.read_text().partition(mutant.old)[0])
    later = [other for other in path.parent.glob("*.sql") if other.name > path.name]
    assert [other.name for other in later if spoilt in function.findall(other.read_text())] == []


def test_there_are_enough_and_each_has_a_name_of_its_own():
    """A regime that is measured by three defects measures nothing."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 35


def test_the_named_invariants_are_watched():
    """A defect that must break an invariant of another name is never caught."""
    text = "".join(path.read_text() for path in (ROOT / WATCH).parent.glob("*.py"))
    assert [one for mutant in MUTANTS for one in mutant.invariants if f'"{one}"' not in text] == []


def test_the_copy_has_the_defect_and_the_tree_does_not(tree):
    """A defect that reached the product would be traded."""
    plant(SALE, tree)
    assert SALE.new in (tree / SALE.file).read_text()
    assert SALE.new not in (ROOT / SALE.file).read_text()


def test_copied_tests_test_the_copy(tree):
    """Tests that import the product from where it is installed find no defect that is planted in the copy."""
    by_tests = replace(SALE, tests=(TEST,), invariants=("an invariant that nothing breaks",))
    judge = Judge(tree, seeds=1)
    judge.check((by_tests,))
    verdict = judge.judge(by_tests)
    assert (verdict.by.partition("::")[0], judge.broken) == (TEST, [])
    assert "assert" in verdict.why


def test_a_crash_of_the_harness_catches_nothing(tree):
    """What cannot be run proves nothing about the defect: 'it went wrong' is not 'it was caught'."""
    crash = Mutant("crash", WATCH, "        database.observers.append(self.committed)\n", "        1 / 0\n", "")
    judge = Judge(tree, seeds=1)
    assert judge.judge(crash).by == ""
    assert "ZeroDivisionError" in judge.broken[0]


def test_what_is_wrong_without_a_defect_ends_the_run(tree):
    """A test that always fails would catch everything."""
    (tree / TEST).write_text("def test_it():\n    assert False\n")
    with pytest.raises(ValueError, match="without any defect"):
        Judge(tree, seeds=0).check((replace(SALE, tests=(TEST,)),))


def test_a_test_that_cannot_be_run_catches_nothing(tree):
    """An import that fails, or a fixture, is not the assertion that was to find the defect."""
    judge = Judge(tree, seeds=0)
    for broken in ("import nothing_of_that_name\n", "def test_it(no_such_fixture):\n    pass\n"):
        (tree / TEST).write_text(broken)
        assert judge.judge(replace(SALE, tests=(TEST,))).by == ""
    assert len(judge.broken) == 2


def test_a_defect_that_cannot_be_imported_is_none(tree):
    """It would be caught by everything, and tell nothing."""
    with pytest.raises(ValueError, match="cannot be imported"):
        plant(replace(SALE, new="        return self.qty *\n"), tree)
