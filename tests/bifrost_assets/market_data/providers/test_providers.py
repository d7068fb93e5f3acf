"""Every provider is found by its name, and described where people look for it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from bifrost_assets.market_data.providers import provider_of
from bifrost_core.errors import SettingsError
from bifrost_core.settings import ROOT, Settings

PAGE = (ROOT / "docs" / "adding-a-data-source.md").read_text()
NAMES = ("alpaca", "csv", "parquet", "sample", "yahoo")


def test_a_name_that_is_none_is_answered_with_those_there_are(hasty: Callable[..., Settings]) -> None:
    """A typing error would end in an import error; and a module beside the providers is none of them."""
    for wrong in ("yaho", "politeness"):
        with pytest.raises(SettingsError, match=f"no provider '{wrong}': this folder has {', '.join(NAMES)}"):
            provider_of(hasty(provider=wrong))


@pytest.mark.parametrize("name", NAMES)
def test_a_provider_bears_the_name_under_which_it_is_found(
    name: str, hasty: Callable[..., Settings], tmp_path: object
) -> None:
    """Rows would be stored under another name than the one in the settings."""
    assert provider_of(hasty(provider=name, source_folder=tmp_path)).name == name
    assert f"`{name}`" in PAGE


def test_the_page_names_only_settings_that_exist_and_all_of_a_dumps() -> None:
    """Somebody would set what nothing reads, or not find what there is to set."""
    named = {found.lower() for found in re.findall(r"BIFROST_([A-Z_]+[A-Z])", PAGE)}
    named |= set(re.findall(r"^(\w+) = ", PAGE, re.M)) | set(re.findall(r"`(source_\w+)`", PAGE))
    ours = {name for name in named if name.startswith(("source", "yahoo", "alpaca", "provider"))} - {"source"}
    assert ours <= set(Settings.model_fields)
    assert {name for name in Settings.model_fields if name.startswith("source_")} <= ours
