"""Python, packages, settings, folders and disk."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from bifrost_cli.doctor.finding import Check, Finding
from bifrost_core.settings import ROOT, Settings, unknown_variables

DISK_BYTES_MIN = 2_000_000_000


def python(_settings: Settings) -> Iterator[Finding]:
    """The interpreter is one the project supports."""
    ok = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Finding(
        "python", ok, f"{sys.version.split()[0]} in {sys.prefix}", "Remove .venv and run make with Python 3.11-3.13"
    )


def packages(_settings: Settings) -> Iterator[Finding]:
    """What is installed is what requirements.lock says."""
    lock = ROOT / "requirements.lock"
    if not lock.exists():
        return
    wanted = _pins(lock.read_text())
    wrong = [
        f"{name} {have or 'missing'}, not {pin}" for name, pin in wanted.items() if (have := _version(name)) != pin
    ]
    detail = "; ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
    yield Finding(
        "packages", not wrong, detail or f"{len(wanted)} as in requirements.lock", "Remove .venv and run make test"
    )


def _pins(text: str) -> dict[str, str]:
    from packaging.requirements import Requirement

    lines = (line.removesuffix("\\").strip() for line in text.splitlines() if line[:1].isalnum())
    pins = (Requirement(line) for line in lines)
    return {pin.name: str(pin.specifier).removeprefix("==") for pin in pins if not pin.marker or pin.marker.evaluate()}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def settings(_settings: Settings) -> Iterator[Finding]:
    """No variable is misspelt."""
    unknown = unknown_variables()
    detail = f"{', '.join(unknown)} mean nothing" if unknown else "every BIFROST_* variable is known"
    yield Finding("settings", not unknown, detail, "See `bifrost config` for the names")


def home(settings: Settings) -> Iterator[Finding]:
    """The home and the report folders can be written, and there is room."""
    for name, folder in (("home", settings.home), ("artifacts", settings.artifacts)):
        remedy = f"Make it writable, or set BIFROST_{name.upper()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(b"x")
        except OSError as error:
            yield Finding(name, False, f"{folder} cannot be written: {error.strerror}", remedy)
        else:
            yield Finding(name, True, str(folder))
    yield from _disk(settings)
    yield from _secrets(settings)


def _disk(settings: Settings) -> Iterator[Finding]:
    free = shutil.disk_usage(settings.home).free
    yield Finding("disk", free >= DISK_BYTES_MIN, f"{free / 1e9:.1f} GB free under {settings.home}", "Free some space")


def _secrets(settings: Settings) -> Iterator[Finding]:
    _ = settings.secrets
    path = settings.home / "secrets.json"
    found = path.stat()
    ok = found.st_mode & 0o077 == 0 and found.st_uid == os.getuid()
    yield Finding("secrets", ok, f"{path} mode {found.st_mode & 0o777:o}", f"chmod 600 {path}, as its owner")


CHECKS: tuple[Check, ...] = (python, packages, settings, home)
