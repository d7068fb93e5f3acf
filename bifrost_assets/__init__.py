"""The Dagster code location: every dataset, model, backtest and report is an asset. May import bifrost_core only."""
