"""Instruments and their symbols, exchange sessions, universes, restrictions: what everything else refers to."""

from bifrost_assets.market_data.reference.instruments import (
    Registered,
    instrument_ids,
    register_instruments,
    symbols_in,
    symbols_to_load,
    wanted_symbols,
)
from bifrost_assets.market_data.reference.listings import record_delistings
from bifrost_assets.market_data.reference.sessions import store_sessions
from bifrost_assets.market_data.reference.universe import update_universe

__all__ = [
    "Registered",
    "instrument_ids",
    "record_delistings",
    "register_instruments",
    "store_sessions",
    "symbols_in",
    "symbols_to_load",
    "update_universe",
    "wanted_symbols",
]
