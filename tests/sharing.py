"""Which tests go to the same worker: those of a file, and all that look at the one shop that the demo makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    import pytest

SYSTEM, SHOP = "tests/system/", "tests/system/shop/"


class Scheduling(LoadFileScheduling):
    """As `--dist loadfile`, and the shop is one scope."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return SHOP if file.startswith(SHOP) else file


def longest_first(items: list[pytest.Item]) -> None:
    """Reorder `items` in place: the shop's tests, the other systems', and the rest as they were collected.

    Scopes are handed out in this order under `--no-loadscope-reorder`; else those with the most tests come first.
    """
    items.sort(key=lambda item: (not item.nodeid.startswith(SHOP), not item.nodeid.startswith(SYSTEM)))
