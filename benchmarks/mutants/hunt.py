"""Runs seeds of the simulation in the copy that it is started in until one breaks an invariant.

    python -m benchmarks.mutants.hunt SEEDS [INVARIANT ...]

Prints {seed, invariant, reason} of the first, or nothing. Where invariants are named, only these count.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.mutants.home import strangers
from execution_daemon.simulation.world import simulate


def main(arguments: Sequence[str]) -> int:
    """Hunt; anything but 0 says that nothing was found out."""
    if found := strangers(Path.cwd()):
        print(f"imported from elsewhere: {', '.join(found)}", file=sys.stderr)
        return 2
    wanted = set(arguments[1:])
    for seed in range(int(arguments[0])):
        violation = simulate(seed).violation
        if violation is not None and (not wanted or violation.invariant in wanted):
            print(json.dumps({"seed": seed, "invariant": violation.invariant, "reason": violation.reason}))
            break
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
