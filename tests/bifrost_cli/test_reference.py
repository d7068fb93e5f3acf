"""`bifrost reference` and `bifrost lineage`, as their page tells them, on real bars."""

from __future__ import annotations

import getpass
import re
import shlex
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bifrost_assets.market_data.loading import load_bars
from bifrost_assets.market_data.providers import provider_of
from bifrost_assets.market_data.reference import register_instruments, store_sessions
from bifrost_cli.main import app
from bifrost_core.errors import BifrostError
from bifrost_core.settings import ROOT
from bifrost_core.warehouse.warehouse import Warehouse

BLOCK = re.compile(r"^```(?P<language>\w+)(?: title=\"(?P<file>[^\"]+)\")?\n(?P<text>.*?)^```$", re.M | re.S)
SAID = [
    (r"FB on 2013-02-01: instrument \d+, Facebook, Inc\., equity in USD", "rename FB META"),
    (r"listed      2012-05-18 \.\. today", "the listing"),
    (r"FB is META from 2013-02-19 on$", "the rename"),
    (r"action      2013-02-19  symbol_change FB META  told by operator", "the action"),
    (r"undone: rename FB META 2013-02-19", "the undoing"),
    (r"IBM is not traded from 2013-02-20 on$", "the delisting"),
    (r"3 memberships added, 5 removed", "the import"),
    (r"^AAPL\nIBM\n^AAPL\nFB\n", "the members before and after"),
    (r"the universe follows BIFROST_UNIVERSE: 3 memberships changed", "the reset"),
    (r"3 sectors set, 0 as they were, 0 lines left out", "the sectors"),
    (r"MSFT is restricted \(opening\) from 2013-02-19 until 2013-02-25: we advise the buyer", "the restriction"),
    (r"MSFT may be traded from 2013-02-21 on", "its end"),
    (r"bar open 463.25 high 470 low 454.12 close 468.22 volume 25163600 · current", "the bar"),
    (r"payload sha256:[0-9a-f]{64} \(verified\)\n.*stocks\.csv\.gz", "the payload"),
    (r"^  AAPL,2013-02-07,463\.25,470\.0,454\.12,468\.22,25163600,", "the line of the vendor's file"),
    (r"cash_dividend .*earlier prices x 0\.99", "the dividend"),
]


@pytest.fixture
def shop(warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """The sample's symbols with the bars of February 2013; the command line finds them, and runs in an empty folder."""
    provider = provider_of(warehouse.settings)
    store_sessions(warehouse)
    register_instruments(warehouse, provider)
    load_bars(warehouse, provider, date(2013, 2, 1), date(2013, 3, 1), "run-1")
    monkeypatch.setenv("BIFROST_HOME", str(warehouse.settings.home))
    monkeypatch.setenv("BIFROST_DATABASE", warehouse.settings.database)
    monkeypatch.chdir(tmp_path)
    return warehouse


def run(words: list[str]) -> str:
    done = CliRunner().invoke(app, words)
    if done.exception:
        raise done.exception
    return done.output


def test_the_page_works_as_it_is_written(shop: Warehouse) -> None:
    """A person follows it on the day on which a symbol changes."""
    said = ""
    for block in BLOCK.finditer((ROOT / "docs" / "reference-data.md").read_text()):
        if block["file"]:
            Path(block["file"]).write_text(block["text"])
        elif block["language"] == "sh":
            for line in block["text"].splitlines():
                assert line.startswith("bifrost "), line
                said += run(shlex.split(line)[1:])
    for pattern, what in SAID:
        assert re.search(pattern, said, re.M), f"{what} is not in\n{said}"
    actors = shop.read("select distinct actor from reference.changes")["actor"].to_list()
    assert actors == [getpass.getuser()]


def test_a_payload_can_be_had_as_it_was_sent(shop: Warehouse, tmp_path: Path) -> None:
    """A form that we do not know is still evidence."""
    said = run(["lineage", "bar", "spx", "2013-02-07", "--out", "sent.gz"])
    stored = shop.read("select size_bytes from raw.payloads where subject = 'sp500.csv.gz'")["size_bytes"].item()
    assert f"{stored} bytes of application/gzip written to sent.gz" in said
    assert (tmp_path / "sent.gz").stat().st_size == stored


WRONG = [
    ("reference show XYZ", "XYZ meant no instrument on"),
    ("reference show IBM --on yesterday", "'yesterday' is not a date"),
    ("reference delist IBM --on 2013-02-16", "2013-02-16"),
    ("reference universe import none.csv", "none.csv cannot be read"),
    ("reference universe reset", "follows BIFROST_UNIVERSE already"),
    ("lineage bar IBM 2013-02-02", "nothing was ever stored of IBM"),
    ("lineage bar IBM 2.2.2013", "'2.2.2013' is not a date"),
    ("lineage action IBM 2013-02-01", "IBM had no corporate action on 2013-02-01"),
    ("lineage bar IBM 2013-02-01 --out /nonexistent/x", "/nonexistent/x cannot be written"),
]


def test_wrong_lines_of_sectors_are_told_and_the_others_kept(shop: Warehouse, tmp_path: Path) -> None:
    """A script must notice, and a person must know which line."""
    (tmp_path / "s.csv").write_text("symbol,sector\nIBM,Technology\nXYZ\n")
    done = CliRunner().invoke(app, ["reference", "sectors", "s.csv", "--on", "2013-02-08"])
    assert (done.exit_code, done.stdout) == (1, "1 sectors set, 0 as they were, 1 lines left out\n")
    assert done.stderr == "bifrost: s.csv: line 3: 1 cells instead of 2\n"
    assert shop.read("select sector from reference.instruments where symbol = 'IBM'")["sector"].item() == "Technology"


def test_what_a_person_can_do_wrong(shop: Warehouse) -> None:
    """One line with the thing and the remedy, and nothing changed."""
    for words, problem in WRONG:
        with pytest.raises(BifrostError, match=problem):
            run(shlex.split(words))
    assert shop.read("select count(*) as n from reference.changes")["n"].item() == 0
