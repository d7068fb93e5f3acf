"""A vendor's dump as CSV and as Parquet: the sample's real bars, written as vendors write them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from bifrost_assets.market_data.providers import folder, provider_of
from bifrost_assets.market_data.providers.base import (
    BarProvider,
    Fetched,
    Listing,
    MinuteProvider,
    SymbolError,
    SymbolMinutes,
)
from bifrost_assets.market_data.providers.sample import SampleProvider
from bifrost_core.calendar import session_of
from bifrost_core.errors import SettingsError
from bifrost_core.settings import Settings, load_settings

FIRST, LAST = date(2013, 2, 14), date(2013, 3, 1)
SYMBOLS = ["AAPL", "FB", "IBM"]
THEIRS = {
    "session": "Date",
    "open": "Open",
    "high": "High",
    "low": "Low",
    "close": "Close",
    "volume": "Vol.",
    "vendor_adj_close": "Adj Close",
}
COLUMNS = tuple((theirs, ours) for ours, theirs in THEIRS.items())


@pytest.fixture(scope="module")
def real() -> Fetched:
    """The bars that the dump is written from: 2010 to 2013 of three symbols."""
    return SampleProvider(load_settings()).fetch(SYMBOLS, date(2010, 1, 4), LAST)


@pytest.fixture
def dump(tmp_path: Path, real: Fetched) -> Path:
    """A folder with every shape of the same dump: a CSV file per symbol, one for all, and both as Parquet."""
    place = tmp_path / "dump"
    (place / "days").mkdir(parents=True)
    for one in real.loaded:
        rows = one.bars.rename(THEIRS)
        written = rows.with_columns(pl.col("Date").dt.strftime("%m/%d/%Y"))
        written.write_csv(place / f"{one.symbol}.csv")
        (place / "days" / f"{one.symbol}.csv.gz").write_bytes(gzip.compress(written.write_csv().encode()))
        rows.write_parquet(place / f"{one.symbol}.parquet")
    every = pl.concat([one.bars.rename(THEIRS).with_columns(Ticker=pl.lit(one.symbol.lower())) for one in real.loaded])
    every.with_columns(pl.col("Date").dt.strftime("%m/%d/%Y")).write_csv(place / "all.csv", separator=";")
    every.sort("Date").write_parquet(place / "all.parquet", row_group_size=500)
    return place


@pytest.fixture
def configured(dump: Path, hasty: Callable[..., Settings]) -> Callable[..., BarProvider]:
    def provider(kind: str, **changes: object) -> BarProvider:
        own = {"source_folder": dump, "source_columns": COLUMNS, "source_date_format": "%m/%d/%Y"}
        return provider_of(hasty(**{"provider": kind, "source_price_unit": 1e-6, **own, **changes}))

    return provider


ALL = {"source_columns": (*COLUMNS, ("Ticker", "symbol"))}
SHAPES = [
    pytest.param("csv", {}, id="a CSV file per symbol"),
    pytest.param("csv", {"source_bars": "days/{symbol}.csv.gz"}, id="compressed"),
    pytest.param("csv", {"source_bars": "all.csv", "source_separator": ";", **ALL}, id="one CSV file"),
    pytest.param("parquet", {}, id="a Parquet file per symbol"),
    pytest.param("parquet", {"source_bars": "all.parquet", **ALL}, id="one Parquet file"),
]


@pytest.mark.parametrize(("kind", "shape"), SHAPES)
def test_the_bars_are_the_ones_that_were_dumped(
    configured: Callable[..., BarProvider], real: Fetched, kind: str, shape: dict[str, object]
) -> None:
    """A column would be taken for another, or rows outside the window would come in."""
    provider = configured(kind, **shape)
    fetched = provider.fetch([*SYMBOLS, "NOPE"], FIRST, LAST)
    assert [one.symbol for one in fetched.loaded] == SYMBOLS
    for one, source in zip(fetched.loaded, real.loaded, strict=True):
        assert one.bars.equals(source.bars.filter(pl.col("session").is_between(FIRST, LAST)))
        assert one.listed_from == source.bars["session"].min()
    assert [one.symbol for one in fetched.failed] == ["NOPE"]
    assert "BIFROST_UNIVERSE" in fetched.failed[0].problem
    assert (provider.name, provider.price_unit) == (kind, 1e-6)


@pytest.mark.parametrize(("kind", "shape"), SHAPES)
def test_listings(configured: Callable[..., BarProvider], kind: str, shape: dict[str, object]) -> None:
    """An instrument would be registered that has no file."""
    answers = configured(kind, benchmark="IBM", **shape).listings(["FB", "IBM", "NOPE"])
    assert answers["FB"] == Listing("FB", "FB", "equity", "USD", date(2012, 5, 18))
    assert isinstance(answers["IBM"], Listing)
    assert answers["IBM"].asset_class == "index"
    assert isinstance(answers["NOPE"], SymbolError)


def test_the_payload_is_the_file(configured: Callable[..., BarProvider], dump: Path) -> None:
    """A row could not be shown to come from what the vendor sent."""
    [aapl] = configured("csv").fetch(["AAPL"], FIRST, LAST).loaded
    assert (aapl.payload.subject, aapl.payload.body) == ("AAPL.csv", (dump / "AAPL.csv").read_bytes())


def test_a_shared_file_is_one_payload(configured: Callable[..., BarProvider], dump: Path) -> None:
    """A file for 500 symbols would be hashed and stored 500 times."""
    provider = configured("parquet", source_bars="all.parquet", **ALL)
    one, *others = provider.fetch(SYMBOLS, FIRST, LAST).loaded
    assert one.payload.body == (dump / "all.parquet").read_bytes()
    assert one.payload.sha256 == type(one.payload).__base__.sha256.fget(one.payload)  # type: ignore[union-attr]
    assert all(other.payload is one.payload for other in others)
    assert provider.fetch(["IBM"], LAST, LAST).loaded[0].payload is one.payload


def test_of_a_large_shared_file_only_the_hash_is_kept(configured: Callable[..., BarProvider], dump: Path) -> None:
    """Every night would put another copy of a growing file of gigabytes into the warehouse."""
    with (dump / "all.csv").open("a") as file:
        file.write("01/01/1990;1;1;1;1;1;1;pad\n" * (folder.SHARED_BYTES_MAX // 26))
    provider = configured("csv", source_bars="all.csv", source_separator=";", **ALL)
    [ibm] = provider.fetch(["IBM"], FIRST, LAST).loaded
    assert ibm.bars.height == 11
    assert b'"file": "all.csv"' in ibm.payload.body
    assert len(ibm.payload.body) < 300


def test_a_new_dump_is_read(configured: Callable[..., BarProvider], dump: Path) -> None:
    """A correction of the vendor's would not arrive before the process ends."""
    provider = configured("parquet", source_bars="all.parquet", **ALL)
    before = provider.fetch(["IBM"], LAST, LAST).loaded[0]
    corrected = pl.read_parquet(dump / "all.parquet").with_columns(pl.col("Close") + 1)
    corrected.write_parquet(dump / "all.parquet")
    after = provider.fetch(["IBM"], LAST, LAST).loaded[0]
    assert after.bars["close"][0] == before.bars["close"][0] + 1
    assert after.payload.sha256 != before.payload.sha256


def spoilt(dump: Path, line: int, old: str, new: str) -> None:
    lines = (dump / "IBM.csv").read_text().split("\n")
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new)
    (dump / "IBM.csv").write_text("\n".join(lines))


@pytest.mark.parametrize(
    ("old", "new", "column"),
    [
        pytest.param("02/15/2013", "15.02.2013", "Date", id="date"),
        pytest.param(".", ",5 ", "Open", id="number"),
    ],
)
def test_a_value_that_cannot_be_read_is_located(
    configured: Callable[..., BarProvider], dump: Path, old: str, new: str, column: str
) -> None:
    """The session would be missing without a word, or somebody would have to look through the file."""
    lines = (dump / "IBM.csv").read_text().split("\n")
    [line] = [n for n, text in enumerate(lines, 1) if text.startswith("02/15/2013")]
    if column == "Open":
        whole, _, rest = lines[line - 1].partition(",")[2].partition(",")
        lines[line - 1] = f'02/15/2013,"{whole.replace(old, new)}",{rest}'
        (dump / "IBM.csv").write_text("\n".join(lines))
    else:
        spoilt(dump, line, old, new)
    fetched = configured("csv").fetch(["AAPL", "IBM"], FIRST, LAST)
    assert [one.symbol for one in fetched.loaded] == ["AAPL"]
    [failed] = fetched.failed
    assert f"IBM.csv cannot be used for IBM: line {line}, column {column}:" in failed.problem
    assert not failed.is_transient


def test_an_empty_value_is_a_gap(configured: Callable[..., BarProvider], dump: Path) -> None:
    """A null is for the quarantine, with the rest of its row; it is no reason to refuse the file."""
    table = pl.read_csv(dump / "IBM.csv", infer_schema=False)
    table.with_columns(pl.when(pl.col("Date") != "02/15/2013").then("Vol.")).write_csv(dump / "IBM.csv")
    [ibm] = configured("csv").fetch(["IBM"], FIRST, LAST).loaded
    assert ibm.bars.filter(pl.col("volume").is_null())["session"].to_list() == [date(2013, 2, 15)]


def test_what_spreadsheets_add_to_a_file(configured: Callable[..., BarProvider], dump: Path) -> None:
    """A mark at the beginning would be part of the first column's name, a blank line a row for the quarantine."""
    text = (dump / "IBM.csv").read_text()
    (dump / "IBM.csv").write_bytes("\ufeff".encode() + text.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    [ibm] = configured("csv").fetch(["IBM"], FIRST, LAST).loaded
    assert ibm.bars.height == 11
    assert ibm.bars["session"].null_count() == 0


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html><body>Not logged in</body></html>\n", id="a page instead of data"),
        pytest.param(b"PAR1 and then nothing", id="half a file"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_damaged_file_is_an_error_of_its_symbol(
    configured: Callable[..., BarProvider], dump: Path, kind: str, body: bytes
) -> None:
    """One bad file would sink the night's load."""
    (dump / f"IBM.{kind}").write_bytes(body)
    fetched = configured(kind).fetch(SYMBOLS, FIRST, LAST)
    assert [one.symbol for one in fetched.loaded] == ["AAPL", "FB"]
    assert f"IBM.{kind} cannot be used for IBM" in fetched.failed[0].problem


def test_a_missing_column_is_named_with_the_setting(configured: Callable[..., BarProvider]) -> None:
    """The first thing to go wrong with a new vendor."""
    [failed] = configured("csv", source_columns=COLUMNS[1:]).fetch(["IBM"], FIRST, LAST).failed
    assert "no column session" in failed.problem
    assert "Date, Open" in failed.problem
    assert "BIFROST_SOURCE_COLUMNS" in failed.problem


def test_an_adjusted_close_is_optional(configured: Callable[..., BarProvider], dump: Path) -> None:
    """Most dumps have none."""
    pl.read_parquet(dump / "IBM.parquet").drop("Adj Close").write_parquet(dump / "IBM.parquet")
    [ibm] = configured("parquet").fetch(["IBM"], FIRST, LAST).loaded
    assert ibm.bars["vendor_adj_close"].is_null().all()
    assert ibm.bars.height == 11


@pytest.mark.parametrize(
    ("column", "written"),
    [
        pytest.param(pl.col("Date").dt.strftime("%Y%m%d").cast(pl.Int64), "%Y%m%d", id="a number"),
        pytest.param(pl.col("Date").cast(pl.Datetime("ns")), "-", id="midnight, as pandas writes it"),
        pytest.param(pl.col("Date").cast(pl.Datetime).dt.replace_time_zone("America/New_York"), "-", id="with a zone"),
    ],
)
def test_dates_as_vendors_type_them(
    configured: Callable[..., BarProvider], dump: Path, column: pl.Expr, written: str
) -> None:
    """20130301 would be a day in the year 57084, and New York's midnight the day before."""
    pl.read_parquet(dump / "IBM.parquet").with_columns(column).write_parquet(dump / "IBM.parquet")
    [ibm] = configured("parquet", source_date_format=written).fetch(["IBM"], FIRST, LAST).loaded
    assert (ibm.bars["session"].min(), ibm.bars["session"].max(), ibm.bars.height) == (FIRST, LAST, 11)


def test_pence_become_pounds(configured: Callable[..., BarProvider], real: Fetched) -> None:
    """Positions would be a hundred times too large."""
    provider = configured("csv", source_currency="GBX")
    listing = provider.listings(["IBM"])["IBM"]
    assert isinstance(listing, Listing)
    assert listing.currency == "GBP"
    [ibm] = provider.fetch(["IBM"], LAST, LAST).loaded
    pence = real.loaded[2].bars.filter(pl.col("session") == LAST)
    assert ibm.bars.drop("volume").row(0)[1:] == tuple(p / 100 for p in pence.drop("volume").row(0)[1:])
    assert ibm.bars["volume"][0] == pence["volume"][0]


def test_wrong_settings_are_named(hasty: Callable[..., Settings], tmp_path: Path) -> None:
    """The load would fail at night, symbol by symbol."""
    with pytest.raises(SettingsError, match="BIFROST_SOURCE_FOLDER"):
        provider_of(hasty(provider="csv"))
    with pytest.raises(SettingsError, match="'sesion', which is none of session"):
        provider_of(hasty(provider="csv", source_folder=tmp_path, source_columns="Date=sesion"))


NEW_YORK_MINUTES = {
    "source_minutes": "minutes.csv",
    "source_minute_columns": "Time=start_at,Ticker=symbol",
    "source_time_format": "%Y-%m-%d %H:%M",
    "source_time_zone": "America/New_York",
}


def minutes(configured: Callable[..., BarProvider], symbols: list[str], day: date) -> list[object]:
    provider = configured("csv", **NEW_YORK_MINUTES)
    assert isinstance(provider, MinuteProvider)
    return list(provider.fetch_minutes(symbols, day, day))


@pytest.mark.parametrize("day", [date(2013, 3, 8), date(2013, 3, 11), date(2013, 11, 1), date(2013, 11, 4)])
def test_minutes_in_local_time_in_summer_and_winter(
    configured: Callable[..., BarProvider], dump: Path, day: date
) -> None:
    """Half of the year's minutes would be an hour off."""
    rows = [f"{day} {at},IBM,10,11,9,10.5,100\n" for at in ("09:29", "09:30", "15:59", "16:00")]
    (dump / "minutes.csv").write_text("Time,Ticker,open,high,low,close,volume\n" + "".join(rows))
    found, missing = minutes(configured, ["IBM", "AAPL"], day)
    assert isinstance(found, SymbolMinutes)
    session = session_of("XNYS", day)
    assert found.bars["start_at"].to_list() == [session.open_at, session.close_at - timedelta(minutes=1)]
    assert isinstance(missing, SymbolError)
    assert "minutes.csv has no row of AAPL" in missing.problem


def test_minutes_with_a_bad_time(configured: Callable[..., BarProvider], dump: Path) -> None:
    """An hour that does not exist would be a minute less, unseen."""
    text = "Time,Ticker,open,high,low,close,volume\n2013-03-10 02:30,IBM,10,11,9,10.5,100\n"
    (dump / "minutes.csv").write_text(text)
    [failed] = minutes(configured, ["IBM"], date(2013, 3, 8))
    assert isinstance(failed, SymbolError)
    assert "line 2, column Time: '2013-03-10 02:30'" in failed.problem


def test_minutes_of_a_parquet_file_with_times_that_know_their_zone(
    configured: Callable[..., BarProvider], dump: Path
) -> None:
    """A typed column would be read as text, or shifted twice."""
    at = datetime(2013, 3, 8, 14, 30, tzinfo=UTC)
    row = {"start_at": [at], "open": [10.0], "high": [11.0], "low": [9.0], "close": [10.5], "volume": [100]}
    pl.DataFrame(row).write_parquet(dump / "IBM-minutes.parquet")
    provider = configured("parquet", source_minutes="{symbol}-minutes.parquet")
    assert isinstance(provider, MinuteProvider)
    [found] = provider.fetch_minutes(["IBM"], date(2013, 3, 8), date(2013, 3, 8))
    assert isinstance(found, SymbolMinutes)
    assert found.bars.rows() == [(at, 10.0, 11.0, 9.0, 10.5, 100.0)]


def test_a_dump_without_minutes_has_none_to_offer(configured: Callable[..., BarProvider]) -> None:
    """The intraday load would ask every night for files that nobody has."""
    assert not isinstance(configured("csv"), MinuteProvider)
