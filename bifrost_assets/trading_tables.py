"""What the execution daemon writes: in the lineage, but materialized by the daemon and never by Dagster."""

from __future__ import annotations

import dagster as dg

from bifrost_assets.owners import Owner

TABLES = {
    "trading/accounts": "One row per account at a broker, with its first balance.",
    "trading/orders": "One row per order, the fold of its events.",
    "trading/order_events": "Everything that happened to an order, append-only: the source of truth.",
    "trading/fills": "One row per execution report with a quantity.",
    "trading/positions": "Signed quantity held, per account and symbol.",
    "trading/cash": "Settled balance and reserved value, per account.",
    "trading/risk_decisions": "Every risk decision with its reason code.",
    "audit/chain": "The tamper-evident hash chain of everything the daemon did.",
}
SPECS = [
    dg.AssetSpec(
        key.split("/"),
        deps=[dg.AssetKey(["signals", "targets"])] if key == "trading/orders" else (),
        description=description,
        group_name="trading",
        kinds={"postgres"},
        owners=[Owner.TRADING],
        metadata={"dagster/table_name": key.replace("/", ".")},
    )
    for key, description in TABLES.items()
]

defs = dg.Definitions(assets=SPECS)
