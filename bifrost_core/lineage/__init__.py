"""Where a fill came from: order, risk decision, command or target, signals, prediction, features, payloads of bars."""

from bifrost_core.lineage.completeness import Unresolved, unresolved
from bifrost_core.lineage.explain import explain
from bifrost_core.lineage.link import Link, as_text

__all__ = ["Link", "Unresolved", "as_text", "explain", "unresolved"]
