"""The dbt project: where it is, and its manifest, made again when a file changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from bifrost_assets.warehouse_models.inprocess import Dbt
from bifrost_core.errors import BifrostError
from bifrost_core.settings import ROOT, Settings

if TYPE_CHECKING:
    from dagster_dbt import DbtProject

PROJECT = ROOT / "dbt_project"
SOURCES = ("dbt_project.yml", "profiles.yml", "models/**/*", "macros/**/*", "tests/**/*")


def prepared_project(settings: Settings) -> DbtProject:
    """The project with an up-to-date manifest: in dbt_project/target, or under the home folder if that is read-only."""
    from dagster_dbt import DbtProject

    if not PROJECT.is_dir():
        raise BifrostError(f"{PROJECT} is missing", "Install from a checkout, or copy dbt_project beside the packages")
    target = _target(settings)
    wanted, mark = fingerprint(PROJECT), target / "manifest.fingerprint"
    if not (target / "manifest.json").exists() or not mark.exists() or mark.read_text() != wanted:
        with _exclusive(target):
            if not mark.exists() or mark.read_text() != wanted:
                Dbt(PROJECT, target).parse(write=True)
                mark.write_text(wanted)
    return DbtProject(PROJECT, target_path=target)


def fingerprint(project: Path) -> str:
    """Changes with every file that dbt reads, and with dbt itself."""
    digest = hashlib.sha256(version("dbt-core").encode())
    for file in sorted(path for pattern in SOURCES for path in project.glob(pattern) if path.is_file()):
        digest.update(str(file.relative_to(project)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


@cache
def _target(settings: Settings) -> Path:
    for folder in (PROJECT / "target", settings.home / "dbt" / "target"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise BifrostError(f"neither {PROJECT} nor {settings.home} is writable", "Set BIFROST_HOME to a writable folder")


@contextmanager
def _exclusive(target: Path) -> Iterator[None]:
    """One process parses, the others wait for it."""
    import fcntl

    with (target / "manifest.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
