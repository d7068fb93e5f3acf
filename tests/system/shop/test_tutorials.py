"""The pages that a new user follows, followed word for word in a copy of the project."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from bifrost_core.settings import ROOT
from tests.system.shop.conftest import Shop, outside_environment

pytestmark = [pytest.mark.system, pytest.mark.timeout(2000)]

BLOCK = re.compile(r"^```(?P<language>\w+)(?: title=\"(?P<file>[^\"]+)\")?\n(?P<text>.*?)^```$", re.M | re.S)
COPIED = ("bifrost_core", "bifrost_assets", "bifrost_cli", "execution_daemon", "streamlit_app", "dbt_project")


@dataclass(frozen=True)
class Reader:
    """Somebody who follows a page in `folder`: writes the files it shows, runs the commands it gives."""

    folder: Path
    environment: dict[str, str]

    def follow(self, page: str) -> str:
        """What the commands of the page printed; a file block is written, a shell block is run in the same shell."""
        script = ["set -euo pipefail"]
        for block in BLOCK.finditer((ROOT / "docs" / page).read_text()):
            if block["file"]:
                (self.folder / block["file"]).write_text(block["text"])
            elif block["language"] == "sh":
                script.append(block["text"])
        done = subprocess.run(
            ["bash", "-c", "\n".join(script)], cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{page} does not work as written\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout


def project_copy(folder: Path, environment: dict[str, str]) -> Reader:
    """The project as a reader has it, with its own code in front of the installed one."""
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "target", "logs"))
    for name in ("pyproject.toml", "workspace.yaml", "dagster.yaml"):
        shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    return Reader(folder, {**environment, "PYTHONPATH": str(folder), "BIFROST_CODE_VERSION": "tutorial"})


def test_adding_a_strategy(shop: Shop, tmp_path: Path) -> None:
    """The first thing a quant tries: if the page is wrong, the platform is."""
    said = project_copy(tmp_path, shop.environment).follow("adding-a-strategy.md")
    assert re.search(r"^\s+AAPL\s+\|", said, re.M), said
    assert re.search(r"^\s+reversion\s+\|\s+\S+\s+\|\s+2013-03-01", said, re.M), said


def test_adding_a_data_source(tmp_path: Path) -> None:
    """The first thing a data engineer tries: good rows in, the bad one quarantined, the missing symbol named."""
    environment = {**outside_environment(), "HOME": str(tmp_path)}
    said = project_copy(tmp_path, environment).follow("adding-a-data-source.md")
    assert re.search(r"ACME\s+\| 2013-02-28 \|\s+102 \| csv_folder", said), said
    assert re.search(r"ACME\s+\| 2013-03-01 \| \S+", said), said
    assert len(re.findall(r"\| csv_folder$", said, re.M)) == 5
