"""From nothing but the lock to the first row: a new virtual environment, the install, the server, the schema."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.result import Result

ROOT = Path(__file__).resolve().parent.parent
FIRST_ROW = (
    "from bifrost_core.settings import load_settings as s;"
    "from bifrost_core.warehouse import embedded as e, migrate as m;"
    "from bifrost_core.warehouse.connect import connect, Role; t = s(); e.start(t.home, t.secrets); m.upgrade(t);"
    "c = connect(t, Role.PIPELINE);"
    'c.execute("insert into reference.instruments (symbol, name, asset_class, exchange_mic, currency)'
    " values ('AAPL', 'Apple', 'equity', 'XNAS', 'USD')\"); c.commit(); e.stop(t.home)"
)


def run() -> list[Result]:
    """Seconds for the install, and for everything from there to a committed row."""
    with tempfile.TemporaryDirectory(prefix="bifrost-install-") as folder:
        python = Path(folder) / "venv" / "bin" / "python"
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "venv", str(python.parent.parent)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet"]
        lock = str(ROOT / "requirements.lock")
        subprocess.run([*pip, "--require-hashes", "-r", lock], check=True, stdout=sys.stderr, stderr=subprocess.DEVNULL)
        subprocess.run([*pip, "--no-deps", "--no-build-isolation", str(ROOT)], check=True, stderr=subprocess.DEVNULL)
        installed = time.monotonic()
        home = {"BIFROST_HOME": str(Path(folder) / "home")}
        subprocess.run([str(python), "-c", FIRST_ROW], check=True, env={**os.environ, **home}, cwd=folder)
        ended = time.monotonic()
    return [
        Result("install from the lock", installed - began, "s"),
        Result("installed to first row", ended - installed, "s"),
    ]
