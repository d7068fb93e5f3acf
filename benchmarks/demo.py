"""`bifrost demo` on a fresh home, with its breakdown, and what the nightly job costs beyond its steps' own work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from benchmarks.result import Result
from benchmarks.world import fresh_settings
from bifrost_core.settings import Settings

TARGET_SECONDS = 90.0
TARGET_OVERHEAD = 1.3


def run() -> list[Result]:
    """Total and by part; the overhead ratio is the job's wall time over the time inside its steps."""
    with fresh_settings() as settings:
        began = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "bifrost_cli.main", "demo"],
            env={**os.environ, **_environment(settings)},
            check=True,
            stdout=sys.stderr,
        )
        seconds = time.monotonic() - began
        timings = json.loads((settings.artifacts / "demo_timings.json").read_text())
    job = timings["job"]
    parts = [Result(f"demo: {name}", value, "s") for name, value in timings["by_part"].items()]
    steps = [Result(f"demo step: {name}", value, "s") for name, value in list(timings["by_step"].items())[:12]]
    return [
        Result("make demo after install", seconds, "s", target=TARGET_SECONDS),
        *parts,
        *steps,
        Result(
            "nightly job's overhead",
            job["wall_seconds"],
            "s",
            "time inside the steps",
            job["work_seconds"],
            TARGET_OVERHEAD,
        ),
    ]


def _environment(settings: Settings) -> dict[str, str]:
    ports = ("daemon_port", "paper_exchange_port", "dagster_port", "streamlit_port")
    return {
        "BIFROST_HOME": str(settings.home),
        "BIFROST_ARTIFACTS": str(settings.artifacts),
        **{f"BIFROST_{name.upper()}": str(getattr(settings, name)) for name in ports},
    }
