"""Run all benchmarks, or those named: `python -m benchmarks [NAME ...]`."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

from benchmarks.result import Result, table, write

NAMES = ("bars", "intraday", "nightly", "features", "daemon", "order_path", "core", "demo", "install")
LATEST = Path(__file__).parent / "results" / "latest.json"


def main(names: list[str]) -> int:
    """Run the named benchmarks, print the table, write it; 1 if a target was missed."""
    if unknown := sorted(set(names) - set(NAMES)):
        print(f"no benchmark named {', '.join(unknown)}. Choose from {', '.join(NAMES)}", file=sys.stderr)
        return 2
    for setting in [name for name in os.environ if name.startswith("BIFROST_")]:
        del os.environ[setting]  # nothing of the person who measures, least of all their database
    os.environ["BIFROST_TOML"] = os.devnull
    results: list[Result] = []
    for name in names or NAMES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        results += import_module(f"benchmarks.{name}").run()
    print(table(results))
    if not names:
        write(results, LATEST)
    return int(any(result.met is False for result in results))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
