"""Content hashes and code versions: what makes a row traceable to what it came from."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


SOURCES = ("bifrost_core", "bifrost_assets", "execution_daemon", "dbt_project/models", "dbt_project/macros")
SOURCE_KINDS = frozenset({".py", ".sql", ".yml"})


def sha256(data: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(data).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal) and value.is_finite():
        return _digits(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} has no canonical form")


def _digits(value: Decimal) -> str:
    """The number without exponent, trailing zeros or the sign of zero, in full precision."""
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_plain, allow_nan=False)


def canonical_json(value: Any) -> bytes:
    """One byte string per value: sorted keys, no spaces, Decimals without trailing zeros, UTC times in ISO form.

    NaN, infinities and times without a zone are refused.
    """
    return _CANONICAL.encode(value).encode()


def content_hash(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`."""
    return sha256(canonical_json(value))


def frame_version(frame: pl.DataFrame) -> str:
    """A version of a frame's content: equal frames (names, types, rows in order) have equal versions, others differ."""
    digest = hashlib.sha256(canonical_json([[name, str(dtype)] for name, dtype in frame.schema.items()]))
    for column in frame.iter_columns():
        nulls = column.null_count()
        digest.update(len(column).to_bytes(8, "big") + nulls.to_bytes(8, "big"))
        digest.update(column.is_null().to_numpy().tobytes() if nulls else b"")
        digest.update(_column_bytes(column))
    return digest.hexdigest()[:16]


def _column_bytes(column: pl.Series) -> bytes:
    """Numbers and times as they lie in memory, anything else as canonical text."""
    dtype = column.dtype
    if dtype.is_integer() or dtype.is_float() or dtype.is_temporal():
        numbers = column.to_physical()
        return (numbers.fill_null(0) if numbers.null_count() else numbers).to_numpy().tobytes()
    if dtype.is_nested() or dtype.is_decimal():
        return canonical_json(column.to_list())
    return canonical_json(column.cast(str).to_list())


@cache
def code_version() -> str:
    """The commit that runs; with `+dirty.<hash of the sources>` where the tree differs from it or has new files.

    Outside a checkout the package's version and the hash. `BIFROST_CODE_VERSION` overrides it.
    """
    if named := os.environ.get("BIFROST_CODE_VERSION"):
        return named
    root = Path(__file__).resolve().parent.parent
    commit = _git(root, "describe", "--always", "--abbrev=12", "--exclude=*") if (root / ".git").exists() else None
    if commit is None:
        return f"{_package_version()}+{_sources(root)}"
    return commit if _git(root, "status", "--porcelain") == "" else f"{commit}+dirty.{_sources(root)}"


def _package_version() -> str:
    try:
        return version("bifrost-trader")
    except PackageNotFoundError:
        return "unknown"


def _sources(root: Path) -> str:
    """Eight hex digits of the hash of every source file that results depend on."""
    files = (path for package in SOURCES for path in (root / package).rglob("*") if path.suffix in SOURCE_KINDS)
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:8]


def _git(root: Path, *args: str) -> str | None:
    """What git says; None where it cannot."""
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(root), *args],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
