"""Which tests go to the same worker: those of a file, and all that look at the one shop that the demo makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    import pytest
    from xdist.remote import Producer

SYSTEM, SHOP = "tests/system/", "tests/system/shop/"


class Scheduling(LoadFileScheduling):
    """Scopes are handed out in the order of `longest_first`, not by their number of tests."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return SHOP if file.startswith(SHOP) else file


def longest_first(items: list[pytest.Item]) -> None:
    """Reorder `items` in place: the shop's tests, the other systems', and the rest as they were collected."""
    items.sort(key=lambda item: (not item.nodeid.startswith(SHOP), not item.nodeid.startswith(SYSTEM)))
