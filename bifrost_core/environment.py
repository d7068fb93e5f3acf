"""What the tools around the warehouse need in their environment: Dagster, dbt, MLflow, psql, and our own parts."""

from __future__ import annotations

from pathlib import Path

from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from bifrost_core.errors import SettingsError
from bifrost_core.settings import ROOT, Settings
from bifrost_core.warehouse.connect import Database, Role, url

QUIET = {
    "DAGSTER_EVENT_BATCH_SIZE": "500",  # a run over many partitions writes its materializations together
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
}


def part_environment(settings: Settings) -> dict[str, str]:
    """Environment variables for any part, as a complement to this process's own; they hold passwords.

    Settings that differ from their defaults travel as BIFROST_*, so that a part started from another folder sees the
    same ones. Makes Dagster's home folder.
    """
    return {
        **_settings(settings),
        "DAGSTER_HOME": str(dagster_home(settings)),
        "BIFROST_DAGSTER_URL": url(settings, Role.PIPELINE, Database.DAGSTER, "postgresql+psycopg2"),  # Dagster: NOTIFY
        "MLFLOW_TRACKING_URI": mlflow_tracking_uri(settings),
        "DBT_PROFILES_DIR": str(ROOT / "dbt_project"),
        **_libpq(settings, Role.PIPELINE, "DBT_", {"dbname": "DBNAME"}),
        **libpq_environment(settings, Role.READER),
        "DAGSTER_EVENT_BATCH_SIZE": "1000",  # a run over many partitions writes its events together
        **QUIET,
    }


def libpq_environment(settings: Settings, role: Role) -> dict[str, str]:
    """What psql, pg_dump and every libpq program need to reach the warehouse as `role`."""
    return _libpq(settings, role, "PG", {"dbname": "DATABASE"})


def mlflow_tracking_uri(settings: Settings) -> str:
    """SQLAlchemy URL of MLflow's backend store."""
    return url(settings, Role.PIPELINE, Database.MLFLOW, "postgresql+psycopg2")


def mlflow_artifacts(settings: Settings) -> Path:
    """The folder under which MLflow keeps models and files."""
    return settings.home / "mlflow"


def dagster_home(settings: Settings) -> Path:
    """Dagster's home folder, with the project's dagster.yaml in it."""
    home = settings.home / "dagster"
    try:
        wanted = (ROOT / "dagster.yaml").read_bytes()
        installed = home / "dagster.yaml"
        home.mkdir(parents=True, exist_ok=True)
        if not installed.exists() or installed.read_bytes() != wanted:
            draft = home / ".dagster.yaml"
            draft.write_bytes(wanted)
            draft.replace(installed)
    except OSError as error:
        raise SettingsError(
            f"Dagster's home {home} cannot be made: {error}", "Make it writable, or set BIFROST_HOME to another folder"
        ) from error
    return home


def _settings(settings: Settings) -> dict[str, str]:
    changed = {
        name: getattr(settings, name)
        for name, field in type(settings).model_fields.items()
        if getattr(settings, name) != field.default
    }
    return {f"BIFROST_{name.upper()}": _text(value) for name, value in changed.items()}


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _libpq(settings: Settings, role: Role, prefix: str, names: dict[str, str]) -> dict[str, str]:
    """The parts of the warehouse's address as variables: host, port, user, password, database, and sslmode if set."""
    parts = {"port": "5432", "host": "localhost", **conninfo_to_dict(url(settings, role))}
    wanted = ("host", "port", "user", "password", "dbname", "sslmode", "sslrootcert")
    return {prefix + names.get(name, name.upper()): str(parts[name]) for name in wanted if parts.get(name)}
