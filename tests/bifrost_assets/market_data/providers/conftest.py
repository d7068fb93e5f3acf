"""What the tests of the providers share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bifrost_core.settings import Settings, load_settings

HASTY = {"provider_tries": 3, "provider_backoff_seconds": 0.001, "provider_timeout_seconds": 10}


@pytest.fixture
def hasty(tmp_path: Path) -> Callable[..., Settings]:
    """Settings whose retries do not wait, with a home of their own."""

    def settings(**changes: object) -> Settings:
        return load_settings(home=tmp_path, **{**HASTY, **changes})

    return settings
