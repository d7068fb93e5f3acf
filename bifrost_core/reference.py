"""Names in the reference tables that every part agrees on."""

from __future__ import annotations

UNIVERSE = "default"  # the universe that is traded
