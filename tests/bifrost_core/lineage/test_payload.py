"""The record in a payload that a row came from, for every form in which vendors write."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from datetime import UTC, date, datetime

import polars as pl
import pytest

from bifrost_core.errors import BifrostError
from bifrost_core.lineage.payload import StoredPayload, Wanted, read_payload, records_in
from bifrost_core.provenance import sha256
from bifrost_core.warehouse.warehouse import Warehouse

WANTED = Wanted({"FB", "META"}, date(2013, 2, 1), "America/New_York")
TABLE = "Ticker,Date,Close\nAAPL,2013-02-01,453.62\nFB,2013-01-31,30.98\nFB,2013-02-01,29.73\n"
OPEN = int(datetime(2013, 2, 1, 14, 30, tzinfo=UTC).timestamp())
DAY = 24 * 3600
CHART = {
    "chart": {"result": [{
        "meta": {"symbol": "FB"},
        "timestamp": [OPEN - DAY, OPEN],
        "events": {"dividends": {str(OPEN): {"amount": 0.1, "date": OPEN}}},
        "indicators": {"quote": [{"close": [30.98, 29.73]}], "adjclose": [{"adjclose": [30.9, 29.7]}]},
    }]}
}  # fmt: skip
BARS = {
    "bars": {
        "AAPL": [{"t": "2013-02-01T05:00:00Z", "c": 453.62}],
        "FB": [{"t": "2013-02-01T04:59:00Z", "c": 1.0}, {"t": "2013-02-01T05:00:00Z", "c": 29.73}],
    }
}
ACTIONS = {"cash_dividends": [{"symbol": "IBM", "ex_date": "2013-02-01"}, {"symbol": "FB", "ex_date": "2013-02-01"}]}


def records(body: bytes) -> list[str]:
    return records_in(StoredPayload(sha256(body), "p", "s", "x/y", datetime.now(UTC), body), WANTED)


def as_parquet() -> bytes:
    buffer = io.BytesIO()
    pl.read_csv(io.StringIO(TABLE), try_parse_dates=True).write_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (TABLE.encode(), ["Ticker,Date,Close", "FB,2013-02-01,29.73"]),
        (gzip.compress(TABLE.encode(), mtime=0), ["Ticker,Date,Close", "FB,2013-02-01,29.73"]),
        (as_parquet(), ["Ticker,Date,Close", "FB,2013-02-01,29.73"]),
        (TABLE.replace(",", ";").encode("utf-8-sig"), ["Ticker;Date;Close", "FB;2013-02-01;29.73"]),
        (b"Date,Close\n01/31/2013,1\n02/01/2013,2\n", ["Date,Close", "02/01/2013,2"]),
        (b"Ticker,Date\nAAPL,2013-02-01\nIBM,2013-02-01\n", []),
        (b"Ticker,Date\nFB,2014-02-03\n", []),
        (b"", []),
        (b"\x00\xff\xfe", []),
        (b"<html>busy</html>", []),
        (b'{"bars": ', []),
    ],
)
def test_lines_of_a_file(body: bytes, found: list[str]) -> None:
    """The line of another name or day would prove nothing, and be believed."""
    assert records(body) == found


def test_elements_of_json() -> None:
    """A bar stamped at midnight in New York is of that day there, and of another one elsewhere."""
    assert [json.loads(one) for one in records(json.dumps(CHART).encode())] == [
        {"timestamp": OPEN, "close": 29.73, "adjclose": 29.7}, {"amount": 0.1, "date": OPEN}]  # fmt: skip
    assert [json.loads(one) for one in records(json.dumps([BARS, ACTIONS]).encode())] == [
        {"t": "2013-02-01T05:00:00Z", "c": 29.73}, {"symbol": "FB", "ex_date": "2013-02-01"}]  # fmt: skip
    said = {"action": "delist", "symbol": "FB", "on": "2013-02-01"}
    assert [json.loads(one) for one in records(json.dumps(said).encode())] == [said]
    receipt = {"file": "all.csv", "size_bytes": 10**10, "sha256": "ab"}
    assert [json.loads(one) for one in records(json.dumps(receipt).encode())] == [receipt]


def test_a_payload_is_what_its_hash_says_or_an_error(warehouse: Warehouse) -> None:
    """Evidence that was changed must not pass for evidence."""
    good, bad, broken = sha256(b"good"), sha256(b"bad"), sha256(b"broken")
    rows = [(good, zlib.compress(b"good")), (bad, zlib.compress(b"other")), (broken, b"no zlib")]
    with warehouse.transaction() as connection:
        connection.cursor().executemany(
            "insert into raw.payloads (sha256, provider, subject, content_type, size_bytes, body_zlib)"
            " values (%s, 'p', 's', 'x/y', 4, %s)", rows,
        )  # fmt: skip
        assert read_payload(connection, good).body == b"good"
        for digest, problem in ((bad, "hash to"), (broken, "cannot be unpacked"), ("0" * 64, "has nothing under")):
            with pytest.raises(BifrostError, match=problem):
                read_payload(connection, digest)
