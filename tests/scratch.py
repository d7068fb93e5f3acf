"""Where the tests and their servers keep files: a short path, as sockets need, and in memory where there is room.

A new database is a thousand small files: ten times slower on a disk than in memory.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

MEMORY, DISK = Path("/dev/shm"), Path("/tmp")
ROOM_BYTES = 8 * 2**30


def chosen() -> Path:
    """Memory if it has room for everything that a run of all tests leaves at a time, else the disk."""
    has_room = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ROOM_BYTES
    return MEMORY if has_room else DISK


SCRATCH = chosen()


def folder(prefix: str) -> Path:
    """A new folder; whoever asks removes it."""
    return Path(tempfile.mkdtemp(prefix=prefix, dir=SCRATCH))


def use() -> None:
    """Have everything in this process, and what it starts, keep temporary files there."""
    os.environ["TMPDIR"] = str(SCRATCH)
    tempfile.tempdir = None
