"""Sectors from a file: what is right is kept, what is wrong is told with its line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from bifrost_assets.market_data.reference.sectors import SectorsSet, import_sectors
from bifrost_assets.market_data.reference.table import TableError
from bifrost_core.warehouse.warehouse import Warehouse

DAY = date(2013, 2, 1)
HEAD = "symbol,sector\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sectors.csv"


def sectors(warehouse: Warehouse) -> dict[str, str | None]:
    return dict(warehouse.read("select symbol, sector from reference.instruments order by symbol").iter_rows())


def changed(warehouse: Warehouse, file: Path, text: str) -> SectorsSet:
    file.write_text(text)
    with warehouse.transaction() as connection:
        return import_sectors(connection, file, DAY, "me")


def test_instruments_have_the_sectors_of_the_file(known: Warehouse, file: Path) -> None:
    """Without a sector of its own everything is one, and MAX_SECTOR can be no less than the gross limit."""
    assert changed(known, file, f"{HEAD}FB,Technology\nibm, Technology \n") == SectorsSet(2, 0, ())
    assert sectors(known) == {"FB": "Technology", "IBM": "Technology", "SPX": None}
    assert changed(known, file, f"{HEAD}IBM,Services\nFB,Technology\n") == SectorsSet(1, 1, ())
    rows = known.read(
        "select actor, action, before::text, after::text from reference.changes order by change_id"
    ).rows()
    assert [row[:2] for row in rows] == [("me", "set sectors")] * 2
    assert rows[1][2] == '{"IBM": "Technology"}'
    digest = known.read("select sha256 from raw.payloads where subject = 'sectors.csv'")["sha256"].to_list()
    assert any(one in rows[1][3] for one in digest)


def test_the_same_file_again_changes_nothing(known: Warehouse, file: Path) -> None:
    """A file that is imported every night would fill the record."""
    for expected in (SectorsSet(1, 0, ()), SectorsSet(0, 1, ())):
        assert changed(known, file, f"{HEAD}FB,Technology\n") == expected
    assert known.read("select count(*) as n from reference.changes")["n"].item() == 1


def test_wrong_lines_are_told_and_the_others_kept(known: Warehouse, file: Path) -> None:
    """One typing error among five hundred names must not leave all of them in one sector."""
    lines = ("FB,Technology", "", "IBM", ",Energy", "IBM,", "XYZ,Energy", "FB,Energy", "IBM,a\x07b", f"IBM,{'x' * 101}")
    done = changed(known, file, HEAD + "\n".join(lines) + "\n")
    assert (done.changed, sectors(known)["FB"]) == (1, "Technology")
    assert done.problems == (
        "line 4: 1 cells instead of 2",
        "line 5: no symbol",
        "line 6: no sector",
        "line 7: XYZ means no instrument on 2013-02-01",
        "line 8: FB is named twice",
        "line 9: a sector is at most 100 printable characters",
        "line 10: a sector is at most 100 printable characters",
    )


def test_what_is_no_such_table_is_refused(known: Warehouse, file: Path) -> None:
    """Columns in another order would make symbols of sectors."""
    with pytest.raises(TableError, match="does not begin with the line symbol,sector"):
        changed(known, file, "sector,symbol\nTechnology,FB\n")
