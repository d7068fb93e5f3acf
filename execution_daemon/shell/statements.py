"""The daemon's SQL: blocks of `sql/*.sql`, loaded once. A block starts with a line `-- name: <name>`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

FOLDER = Path(__file__).parent / "sql"
_BLOCK = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def load(folder: Path) -> Mapping[str, bytes]:
    """Every block of every file, by name. Raises ValueError where a name is given twice."""
    statements: dict[str, bytes] = {}
    for path in sorted(folder.glob("*.sql")):
        _intro, *parts = _BLOCK.split(path.read_text())
        for name, text in zip(parts[::2], parts[1::2], strict=True):
            if name in statements:
                raise ValueError(f"statement {name!r} of {path} exists already")
            statements[name] = text.strip().encode()
    return MappingProxyType(statements)


SQL = load(FOLDER)
