"""Every setting of every part, in one place: environment `BIFROST_*`, then `bifrost.toml`, then these defaults."""

from __future__ import annotations

import os
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from bifrost_core.errors import SettingsError
from bifrost_core.secrets import Secrets, load_or_create

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """All settings. Money in USD, weights as fractions of account equity, times in seconds or minutes as named."""

    model_config = SettingsConfigDict(env_prefix="BIFROST_", extra="forbid", frozen=True)

    home: Path = Field(default=Path("~/.bifrost"), description="Where the embedded server, ledgers and secrets live.")
    artifacts: Path = Field(default=Path("artifacts"), description="Where report files are written.")
    database_url: SecretStr | None = Field(
        default=None, description="Owner URL of an external PostgreSQL server; unset means the embedded one."
    )
    database: str = Field(
        default="bifrost", pattern=r"^[a-z][a-z0-9_]{0,40}$", description="Warehouse database; Dagster's and MLflow's add a suffix."
    )
    code_version: str | None = Field(default=None, description="Overrides the git commit recorded with every row.")

    provider: Literal["sample", "yahoo"] = Field(default="sample", description="Where daily bars come from.")
    yahoo_url: str = Field(default="https://query2.finance.yahoo.com", description="Base address of Yahoo's chart API.")
    exchange: str = Field(default="XNYS", description="ISO 10383 MIC whose sessions partition everything.")
    universe: tuple[str, ...] = Field(default=("AAPL", "FB", "GOOG", "IBM", "MSFT"), description="Symbols to trade.")
    benchmark: str = Field(default="SPX", description="The index: beta and buy-and-hold are measured against it.")
    first_session: str = Field(default="2000-01-03", description="First partition, ISO date.")
    availability_lag_minutes: int = Field(default=15, ge=0, description="A session's bar is known this long after close.")

    account: str = Field(default="paper", description="The account that targets are made for.")
    initial_cash: Decimal = Field(default=Decimal("1000000.00"), gt=0, description="Paper account's first balance, USD.")
    max_gross: float = Field(default=1.0, gt=0, description="Portfolio limit: sum of absolute weights.")
    max_net: float = Field(default=1.0, gt=0, description="Portfolio limit: absolute sum of weights.")
    max_weight: float = Field(default=0.30, gt=0, le=1, description="Portfolio limit: absolute weight per name.")

    broker_url: str = Field(default="", description="Alpaca trading API; empty means the local paper exchange.")
    clock: Literal["system", "exchange"] = Field(
        default="exchange", description="The daemon's market clock: this machine's, or the broker's (replays)."
    )
    send_timeout_seconds: float = Field(default=5.0, gt=0)
    poll_seconds: float = Field(default=2.0, gt=0, description="The daemon's safety-net poll behind the doorbell.")
    reconcile_seconds: float = Field(default=30.0, gt=0)
    lease_seconds: float = Field(default=10.0, gt=0)

    dagster_port: int = Field(default=3000, ge=1, le=65535, description="Dagster webserver.")
    streamlit_port: int = Field(default=8501, ge=1, le=65535, description="Streamlit app.")
    mlflow_port: int = Field(default=5000, ge=1, le=65535, description="MLflow UI.")
    dbt_docs_port: int = Field(default=8580, ge=1, le=65535, description="dbt docs.")
    daemon_port: int = Field(default=8700, ge=1, le=65535, description="Execution daemon's API.")
    paper_exchange_port: int = Field(default=8701, ge=1, le=65535, description="Paper exchange.")

    @field_validator("home", "artifacts")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()

    @field_validator("universe")
    @classmethod
    def _symbols(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        if not symbols:
            raise ValueError("name at least one symbol")
        return tuple(dict.fromkeys(s.strip().upper() for s in symbols))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = Path(os.environ.get("BIFROST_TOML", "bifrost.toml"))
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml)

    @cached_property
    def secrets(self) -> Secrets:
        """Generated passwords and tokens, created on first use under `home` with mode 0600."""
        return load_or_create(self.home)

    @property
    def paper_exchange_url(self) -> str:
        return f"http://127.0.0.1:{self.paper_exchange_port}"

    @property
    def daemon_url(self) -> str:
        return f"http://127.0.0.1:{self.daemon_port}"

    @property
    def trading_url(self) -> str:
        """Where the daemon sends orders: the configured broker, else the local paper exchange."""
        return self.broker_url or self.paper_exchange_url


def load_settings(**overrides: Any) -> Settings:
    """The settings in force; raises SettingsError naming the first bad one."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        raise SettingsError(
            f"setting {name!r} is wrong: {first['msg']} (got {first.get('input')!r})",
            f"Set BIFROST_{name.upper()} or {name} in bifrost.toml; `bifrost config` lists all settings",
        ) from error
    except (OSError, ValueError) as error:  # unreadable or malformed bifrost.toml, or a tuple that is not JSON
        raise SettingsError(f"settings cannot be read: {error}", "Mend bifrost.toml or the BIFROST_* variable") from error
