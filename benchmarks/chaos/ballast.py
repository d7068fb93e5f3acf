"""A full disk: a small file system of the server's own, filled up, and emptied again.

It takes root to mount one. A limit on the size of the server's files is no substitute: PostgreSQL then hangs where on a
full disk it stops.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.chaos.servers import LOCAL, Server

DISK_MB = 400
SMALL_WAL = "min_wal_size = 32MB\nmax_wal_size = 64MB\nshared_buffers = 64MB\n"
SMALL = LOCAL + SMALL_WAL


@contextmanager
def small_disk() -> Iterator[Path]:
    """A folder on a disk of its own, if one can be mounted; unmounted afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-disk-"))
    folder.chmod(0o755)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=755", "tmpfs", str(folder)]
    is_mounted = bool(shutil.which("mount")) and subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield folder
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def has_own_disk(server: Server) -> bool:
    """Whether the server's disk is nobody else's, and may be filled."""
    return server.settings.home.parent.is_mount()


@contextmanager
def disk_full(server: Server) -> Iterator[None]:
    """Nothing more can be stored, for the length of the block."""
    ballast = server.settings.home.parent / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 16))
        yield
    finally:
        ballast.unlink()
