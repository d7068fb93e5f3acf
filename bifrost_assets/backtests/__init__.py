"""Backtests: the strategies' own signals, traded by backtrader with the daemon's planner and the shared costs."""
