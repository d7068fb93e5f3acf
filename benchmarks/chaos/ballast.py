"""A full disk: a small file system of the server's own, filled up, and emptied again.

Where this process may not mount one, the server's processes are forbidden to write past the first pages of any file,
which is the next best thing: the same calls fail, with "File too large" in place of "No space left on device".
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.chaos.servers import LOCAL, Server
from bifrost_core.warehouse import embedded

DISK_MB = 400
SMALL_WAL = "min_wal_size = 32MB\nmax_wal_size = 64MB\nshared_buffers = 64MB\n"
SMALL = LOCAL + SMALL_WAL
FIRST_PAGES_BYTES = 8192


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


@contextmanager
def disk_full(server: Server) -> Iterator[str]:
    """Nothing more can be stored, for the length of the block; yields how."""
    home = server.settings.home
    if not home.parent.is_mount():
        with _forbidden(home):
            yield "by a limit on file sizes"
        return
    ballast = home.parent / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 16))
        yield "by ballast on a disk of its own"
    finally:
        ballast.unlink()


@contextmanager
def _forbidden(home: Path) -> Iterator[None]:
    postmaster = embedded.status(home).pid
    if postmaster is None:
        raise RuntimeError("the server does not run")
    processes = [psutil.Process(postmaster), *psutil.Process(postmaster).children()]
    for process in processes:
        with suppress(psutil.Error):
            process.rlimit(resource.RLIMIT_FSIZE, (FIRST_PAGES_BYTES, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        embedded.stop(home)  # the next one starts without the limit
