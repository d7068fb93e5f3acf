"""Alembic's environment: every table not owned by dbt, Dagster or MLflow, as plain SQL files in order."""
