"""Names in the reference tables that every part agrees on."""

from __future__ import annotations

from enum import StrEnum

UNIVERSE = "default"  # the universe that is traded


class Blocks(StrEnum):
    """What an entry of the restricted list stops: orders that open or add to a position, or closing it too."""

    OPENING = "opening"
    EVERYTHING = "everything"
