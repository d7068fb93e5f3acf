"""The exchange's own faults: what a broker does wrong by itself."""

from __future__ import annotations
