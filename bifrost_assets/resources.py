"""What every asset is handed, bound once: nothing connects, reads secrets or imports a client before it is used."""

from __future__ import annotations

from typing import Any

from bifrost_assets.market_data.providers import provider_of
from bifrost_core.settings import Settings
from bifrost_core.warehouse.connect import Role
from bifrost_core.warehouse.warehouse import Warehouse


def resources_of(settings: Settings) -> dict[str, Any]:
    """The resources by key: `warehouse` (as bifrost_pipeline) and `provider` of daily bars."""
    return {"warehouse": Warehouse(settings, Role.PIPELINE), "provider": provider_of(settings)}
