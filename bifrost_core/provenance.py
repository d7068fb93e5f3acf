"""Content hashes and code versions: what makes a row traceable to what it came from."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


def sha256(data: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(data).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no canonical form")


def canonical_json(value: Any) -> bytes:
    """One byte string per value: sorted keys, no spaces, Decimals without trailing zeros, ISO times; NaN is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain, allow_nan=False).encode()


def content_hash(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`."""
    return sha256(canonical_json(value))


def frame_version(frame: pl.DataFrame) -> str:
    """A version of a frame's content: equal frames (names, types, rows in order) have equal versions."""
    digest = hashlib.sha256()
    for name, column in frame.to_dict().items():
        digest.update(f"{name}:{column.dtype}:{len(column)}".encode())
        nulls = column.is_null()
        digest.update(nulls.to_numpy().tobytes())
        if column.dtype.is_numeric() or column.dtype.is_temporal():
            digest.update(column.to_physical().fill_null(0).to_numpy().tobytes())
        else:
            digest.update(canonical_json(column.cast(str).to_list()))
    return digest.hexdigest()[:16]


@cache
def code_version() -> str:
    """The commit that runs, `+dirty` when the tree differs from it; the package version outside a checkout.

    `BIFROST_CODE_VERSION` overrides it (images without a .git folder).
    """
    if named := os.environ.get("BIFROST_CODE_VERSION"):
        return named
    root = Path(__file__).resolve().parent.parent
    if (root / ".git").exists():
        described = _git(root, "describe", "--always", "--abbrev=12", "--exclude=*")
        if described:
            return described + ("+dirty" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    try:
        return version("bifrost-trader")
    except PackageNotFoundError:
        return "unknown"


def _git(root: Path, *args: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *args], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
