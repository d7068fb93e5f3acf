"""The campaign of real processes: the daemon, the paper exchange and PostgreSQL, killed, frozen, starved and cut off.

`world.py` starts them, `scenarios/` breaks them, `evidence.py` collects what is true afterwards, and `invariants.py`
compares it with the exchange's own ledger, by code that the daemon has no part in.
"""
