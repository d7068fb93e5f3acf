"""Answers kept on disk between a kill and the next run."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
from datetime import date
from pathlib import Path

import pytest

from bifrost_assets.market_data.providers.spool import Answer, Spool, resuming
from bifrost_assets.market_data.providers.yahoo import AT_ONCE_MAX, YahooProvider
from bifrost_core.errors import ProviderError
from bifrost_core.settings import ROOT, load_settings
from tests.bifrost_assets.market_data.vendor_server import Answer as Sent
from tests.bifrost_assets.market_data.vendor_server import Query, serving
from tests.bifrost_assets.market_data.yahoo_server import Listed, YahooServer

ANSWER = Answer("application/json", b'{"line": 1}\n{"line": 2}')
FIRST, LAST = date(2013, 2, 14), date(2013, 2, 15)
SYMBOLS = [f"S{n:03}" for n in range(500)]
ENOUGH = 200
CHILD = """
import json
import sys
from datetime import date
from bifrost_assets.market_data.providers import provider_of
from bifrost_assets.market_data.providers.spool import resuming
from bifrost_core.settings import load_settings

home, url, symbols = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
provider = provider_of(load_settings(home=home, provider="yahoo", yahoo_url=url, yahoo_requests_per_second=10000))
with resuming(provider):
    provider.fetch(symbols, date(2013, 2, 14), date(2013, 2, 15))
"""


class Stopping(YahooServer):
    """Answers `ENOUGH` chart requests, then lets everybody wait, and says so by `stopped`."""

    def __init__(self) -> None:
        super().__init__()
        self.stops = True
        self.stopped = threading.Event()
        self.answered = itertools.count(1)

    def chart(self, symbol: str, query: Query) -> Sent:
        if next(self.answered) > ENOUGH and self.stops:
            self.stopped.set()
            return Sent(hangs=True)
        return super().chart(symbol, query)


def test_answers_that_were_the_trouble_are_asked_for_again(tmp_path: Path) -> None:
    """A vendor that is late once would be late until midnight: every retry reads yesterday's answer from the disk."""
    spool = Spool(tmp_path)
    with pytest.raises(ProviderError), spool.keeping("monday"):
        spool.put("bars", ANSWER)
        raise ProviderError("no bar of today", "Try again")
    with spool.keeping("monday"):
        assert spool.get("bars") is None


def test_what_is_kept_is_found_by_its_request_until_the_block_ends_well(tmp_path: Path) -> None:
    """Answers would pile up on the disk, or be there for another request."""
    spool = Spool(tmp_path)
    with pytest.raises(RuntimeError), spool.keeping("monday"):
        spool.put("a", ANSWER)
        raise RuntimeError
    with spool.keeping("monday"):
        assert spool.get("a") == ANSWER
        assert spool.get("b") is None
    with spool.keeping("monday"):
        assert spool.get("a") is None


def test_an_answer_of_another_edition_is_gone(tmp_path: Path) -> None:
    """Tonight's load would be answered with what was true before the close."""
    spool = Spool(tmp_path)
    with pytest.raises(RuntimeError), spool.keeping("monday"):
        spool.put("a", ANSWER)
        raise RuntimeError
    with spool.keeping("tuesday"):
        assert spool.get("a") is None
    with spool.keeping("monday"):
        assert spool.get("a") is None


def test_a_damaged_file_is_no_answer(tmp_path: Path) -> None:
    """Half a file, after the machine lost its power, would be taken for what the vendor sent."""
    spool = Spool(tmp_path)
    with spool.keeping("monday"):
        spool.put("a", ANSWER)
        [file] = (tmp_path / "monday").iterdir()
        file.write_bytes(file.read_bytes()[:-1])
        assert spool.get("a") is None
        file.write_bytes(b"")
        assert spool.get("a") is None


def test_nothing_is_kept_outside_the_block(tmp_path: Path) -> None:
    """A correction on the same day would not be seen by anybody who only fetches."""
    spool = Spool(tmp_path)
    spool.put("a", ANSWER)
    assert spool.get("a") is None
    assert list(tmp_path.iterdir()) == []


def test_a_provider_that_keeps_nothing_needs_no_care() -> None:
    """The loader would have to know which provider is which."""
    with resuming(object()):
        pass


def test_a_killed_fetch_does_not_ask_again_for_what_it_has(tmp_path: Path) -> None:
    """Every crash of a backfill would begin it anew, and the vendor would block the address."""
    server = Stopping()
    rows = [(day, 10.0, 11.0, 9.0, 10.5, 100, 10.5) for day in (FIRST, LAST)]
    server.listed = dict.fromkeys(SYMBOLS, Listed(rows))
    kept = tmp_path / "spool" / "yahoo"
    with serving(server):
        arguments = [str(tmp_path), server.url, json.dumps(SYMBOLS)]
        with subprocess.Popen([sys.executable, "-c", CHILD, *arguments], cwd=ROOT) as child:
            assert server.stopped.wait(60)
            child.kill()
        have = _whole(kept)
        server.stops = False
        before = len(server.charts_asked())
        provider = YahooProvider(load_settings(home=tmp_path, yahoo_url=server.url, yahoo_requests_per_second=10000))
        with resuming(provider):
            fetched = provider.fetch(SYMBOLS, FIRST, LAST)
    assert len(fetched.loaded) == 500
    assert have > ENOUGH - AT_ONCE_MAX
    assert len(server.charts_asked()) - before == 500 - have
    assert _whole(kept) == 0


def _whole(folder: Path) -> int:
    """Answers that are there; one that the kill caught half-written has another name."""
    return len([file for file in folder.glob("*/*") if not file.suffix])
