"""Reports into the warehouse and onto disk: one file a format and session, each with its hash in compliance.reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bifrost_assets.compliance import records
from bifrost_assets.compliance.report import Header, Report, to_csv, to_html
from bifrost_core.errors import BifrostError
from bifrost_core.provenance import sha256

if TYPE_CHECKING:
    import psycopg

    from bifrost_assets.stamp import Stamp
    from bifrost_core.warehouse.warehouse import Warehouse

FOLDER = "compliance"


class ReportError(BifrostError):
    """A report cannot be written."""


@dataclass(frozen=True, slots=True)
class File:
    """One report file: `path` is relative to the artifacts folder, with slashes."""

    session: date
    path: str
    content: bytes
    row_count: int

    @property
    def sha256(self) -> str:
        return sha256(self.content)


@dataclass(frozen=True, slots=True)
class Published:
    """What one run wrote."""

    rows: int
    sessions: int
    files: tuple[str, ...]


def publish(warehouse: Warehouse, report: Report, first: date, last: date, stamp: Stamp) -> Published:
    """Replace the table and the files of `report` for sessions first..last; sessions without rows get no file.

    The table, the hashes and the files change together: nothing is committed where a file cannot be written. Raises
    ReportError where the artifacts folder cannot be written.
    """
    settings = warehouse.settings
    with warehouse.transaction() as connection:
        rows = records.replace(connection, report.name, settings.exchange, first, last, stamp.dagster_run_id)
        files = files_of(report, rows, stamp)
        _replace_hashes(connection, report, files, first, last, stamp.dagster_run_id)
        write(settings.artifacts, files)
    return Published(len(rows), len(files) // 2, tuple(file.path for file in files))


def files_of(report: Report, rows: Sequence[Mapping[str, Any]], stamp: Stamp) -> list[File]:
    """The files of every session in `rows`, which are sorted by session."""
    files = []
    for session, group in groupby(rows, key=lambda row: row["session"]):
        mine = list(group)
        header = Header(session, stamp.code_version, stamp.dagster_run_id)
        path = f"{FOLDER}/{session}/{report.name}"
        files.append(File(session, f"{path}.csv", to_csv(report, mine), len(mine)))
        files.append(File(session, f"{path}.html", to_html(report, header, mine), len(mine)))
    return files


def write(artifacts: Path, files: Sequence[File]) -> None:
    """Put the files under `artifacts`: all drafts first, then all renames, so that a full disk leaves the old ones."""
    try:
        drafts = [_draft(artifacts / file.path, file.content) for file in files]
        for draft, path in drafts:
            draft.replace(path)
    except OSError as error:
        raise ReportError(
            f"report {error.filename or artifacts} cannot be written: {error.strerror}",
            "Free the disk or make the folder writable, or set BIFROST_ARTIFACTS to another one",
        ) from error


def _draft(path: Path, content: bytes) -> tuple[Path, Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(content)
    return draft, path


def _replace_hashes(
    connection: psycopg.Connection, report: Report, files: Sequence[File], first: date, last: date, run_id: str
) -> None:
    connection.execute(
        "delete from compliance.reports where report = %s and session between %s and %s", (report.name, first, last)
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into compliance.reports (session, report, path, sha256, row_count, dagster_run_id)"
            " values (%s, %s, %s, %s, %s, %s)",
            [(file.session, report.name, file.path, file.sha256, file.row_count, run_id) for file in files],
        )
