"""Changes that wait for a second person or a cool-off, as people type them, against PostgreSQL."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from bifrost_cli.main import app
from bifrost_core.warehouse.connect import Role, connect


@pytest.fixture
def run(settings, monkeypatch):
    """Gives what `bifrost ...` prints to `who`."""
    monkeypatch.setenv("BIFROST_HOME", str(settings.home))
    monkeypatch.setenv("BIFROST_DATABASE", settings.database)

    def words(*given: str, who: str = "ann", fails: bool = False) -> str:
        monkeypatch.setattr("getpass.getuser", lambda: who)
        done = CliRunner().invoke(app, list(given))
        assert (done.exit_code != 0) is fails, done.output
        return str(done.exception) if fails else done.output

    return words


@pytest.fixture
def cooled(owner):
    """Lets the cool-off of everything that waits be over: the server's clock cannot be moved."""

    def pass_by() -> None:
        with owner.transaction() as connection:
            connection.execute(
                "update trading.change_proposals set proposed_at = proposed_at - interval '61 s',"
                " cool_off_until = cool_off_until - interval '61 s'"
            )

    return pass_by


def test_tightening_loosening_and_approving(run):
    """The words of docs/risk.md, as two people type them."""
    assert "MAX_GROSS                        2  equity_fraction" in run("limits", "show")
    assert run("limits", "set", "MAX_GROSS", "1.5") == "MAX_GROSS of *: 2 -> 1.5: applied\n"
    asked = run("limits", "set", "MAX_GROSS", "2")
    assert "1.5 -> 2: proposed" in asked
    assert "cool-off of 60 s, or the approval of a second person: `bifrost approve 1`" in asked
    assert "1  MAX_GROSS of *: 1.5 -> 2  by ann" in run("proposals")
    assert "another person" in run("approve", "1", fails=True)
    assert "cool-off ends" in run("apply", "1", fails=True)
    assert "applied by a second person" in run("approve", "1", who="bob")
    assert run("proposals") == "nothing waits\n"
    assert "does not wait" in run("approve", "1", who="bob", fails=True)


def test_after_the_cool_off_one_person_may_apply(run, cooled):
    """A lone operator, a minute later."""
    run("limits", "set", "MAX_GROSS", "3", "--account", "paper")
    cooled()
    assert "cooled off" in run("proposals")
    assert "seen by nobody else" in run("apply", "1")
    assert "MAX_GROSS                        3" in run("limits", "show")


def test_governance_is_strengthened_at_once_and_weakened_under_itself(run, cooled):
    """Otherwise one would first abolish the second person, and then do alone what takes two."""
    assert "cool_off: what loosens takes a second person, or 60 s of cool-off (version 1" in run("governance", "show")
    assert "(60 s) -> two_person (60 s): applied" in run("governance", "set", "two_person")
    assert "two_person: what loosens takes a second person (version 2 by ann" in run("governance", "show")
    weaker = run("governance", "set", "cool_off", "--cool-off-seconds", "5")
    assert "needs the approval of a second person" in weaker
    cooled()
    assert "second person approves" in run("apply", "1", fails=True)
    assert "applied by a second person" in run("approve", "1", who="bob")
    assert "or 5 s of cool-off (version 3 by bob" in run("governance", "show")


def test_a_switch_is_released_without_a_daemon(run, settings):
    """The daemon may be what was stopped; and who asked must be told from who consents."""
    with connect(settings, Role.API) as connection:
        connection.execute("select trading.set_kill_switch_v1('symbol', 'IBM', true, 'news', 'ann', now())")
    assert "release the kill switch of symbol IBM: over: proposed" in run("resume", "symbol", "IBM", "--reason", "over")
    assert "another person" in run("approve", "1", fails=True)
    assert "applied by a second person" in run("approve", "1", who="bob")
    assert "no switch of symbol IBM" in run("resume", "symbol", "IBM", "--reason", "again", fails=True)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("limits", "set", "MAX_FUN", "1"), "no limit MAX_FUN"),
        (("limits", "set", "MAX_GROSS", "NaN"), "finite number"),
        (("governance", "set", "anarchy"), "two_person or cool_off"),
        (("resume", "global", "--reason", "x"), "no switch of global *"),
    ],
)
def test_what_makes_no_sense_is_refused_and_on_record(run, reader, words, fault):
    """Who tries what cannot be wants to be known."""
    assert fault in run(*words, who="eve", fails=True)
    (entry,) = reader.read("select payload::text from audit.chain where kind = 'change_refused'")["payload"]
    assert (json.loads(entry)["actor"], fault in json.loads(entry)["reason"]) == ("eve", True)
