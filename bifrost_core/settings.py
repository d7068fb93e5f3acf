"""Every setting of every part, in one place: environment `BIFROST_*`, then `bifrost.toml`, then these defaults."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from bifrost_core.errors import SettingsError
from bifrost_core.secrets import Secrets, load_or_create
from bifrost_core.thresholds import Thresholds

ROOT = Path(__file__).resolve().parent.parent
Columns = tuple[tuple[str, str], ...]
"""A vendor's column names with ours; a table in bifrost.toml."""


class Settings(BaseSettings):
    """All settings. Money in USD, weights as fractions of account equity, times in seconds or minutes as named."""

    model_config = SettingsConfigDict(env_prefix="BIFROST_", extra="forbid", frozen=True)

    home: Path = Field(default=Path("~/.bifrost"), description="Where the embedded server, ledgers and secrets live.")
    artifacts: Path = Field(default=Path("artifacts"), description="Where report files are written.")
    database_url: SecretStr | None = Field(
        default=None, description="Owner URL of an external PostgreSQL server; unset means the embedded one."
    )
    database: str = Field(
        default="bifrost",
        pattern=r"^[a-z][a-z0-9_]{0,40}$",
        description="Warehouse database; Dagster's and MLflow's add a suffix.",
    )
    code_version: str | None = Field(default=None, description="Overrides the git commit recorded with every row.")

    provider: str = Field(
        default="sample",
        pattern=r"^[a-z][a-z0-9_]*$",
        description="Where bars come from: sample, yahoo, alpaca, csv, parquet, or a file of yours.",
    )
    provider_tries: int = Field(default=5, ge=1, description="How often a request to a provider is tried.")
    provider_timeout_seconds: float = Field(
        default=20.0, gt=0, description="A provider's answer is waited for this long."
    )
    provider_backoff_seconds: float = Field(
        default=0.5, gt=0, description="Longest pause after the first failed try; doubles with every other."
    )
    provider_backoff_max_seconds: float = Field(
        default=60.0, gt=0, description="No pause is longer; a server that asks for a longer one is given up."
    )
    yahoo_url: str = Field(default="https://query2.finance.yahoo.com", description="Base address of Yahoo's chart API.")
    yahoo_requests_per_second: float = Field(default=2.0, gt=0, description="Pace of requests to Yahoo.")
    alpaca_data_url: str = Field(default="https://data.alpaca.markets", description="Alpaca's market data API.")
    alpaca_assets_url: str = Field(
        default="https://paper-api.alpaca.markets", description="Alpaca's trading API, asked what a symbol stands for."
    )
    alpaca_key_id: SecretStr | None = Field(default=None, description="Key of your Alpaca account, for market data.")
    alpaca_secret_key: SecretStr | None = Field(default=None, description="Secret that belongs to alpaca_key_id.")
    alpaca_feed: Literal["iex", "sip"] = Field(
        default="iex", description="Alpaca's bars, quotes and trades: one exchange (free), or all of them."
    )
    alpaca_requests_per_second: float = Field(default=3.0, gt=0, description="Pace of requests to Alpaca.")
    source_folder: Path | None = Field(default=None, description="Folder of a vendor's dump, for csv and parquet.")
    source_bars: str = Field(
        default="", description="File of daily bars; {symbol} in it stands for the symbol. Default {symbol}.<provider>."
    )
    source_columns: Annotated[Columns, NoDecode] = Field(
        default=(), description="Their column names and ours; in the environment, Date=session,Open=open."
    )
    source_date_format: str = Field(default="%Y-%m-%d", description="How dates are written, where they are text.")
    source_minutes: str = Field(default="", description="File of one-minute bars, as source_bars; empty means none.")
    source_minute_columns: Annotated[Columns, NoDecode] = Field(
        default=(), description="As source_columns, for source_minutes."
    )
    source_time_format: str = Field(default="%Y-%m-%d %H:%M:%S", description="How times are written, where text.")
    source_time_zone: str = Field(default="UTC", description="IANA zone of times that name none.")
    source_separator: str = Field(default=",", min_length=1, max_length=1, description="Between columns of CSV files.")
    source_currency: str = Field(default="USD", description="Currency of the prices; GBX means pence.")
    source_price_unit: float = Field(
        default=0.01, gt=0, description="Smallest step of adjusted closes: smaller differences are rounding."
    )
    second_provider: str = Field(
        default="",
        pattern=r"^([a-z][a-z0-9_]*)?$",
        description="Another provider, whose daily bars ours are compared with; empty means none.",
    )
    quality: Thresholds = Field(
        default=Thresholds(),
        description="When market data is doubted or held; the Data quality page says what each threshold means.",
    )
    exchange: str = Field(default="XNYS", description="ISO 10383 MIC whose sessions partition everything.")
    universe: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("AAPL", "FB", "GOOG", "IBM", "MSFT"), description="Symbols to trade; in the environment, AAPL,MSFT."
    )
    benchmark: str = Field(default="SPX", description="The index: beta and buy-and-hold are measured against it.")
    first_session: str = Field(default="2000-01-03", description="Where history begins, ISO date.")
    first_partition: str = Field(
        default="2013-02-01",
        description="First session with a partition of its own, ISO date; it holds all history before.",
    )
    availability_lag_minutes: int = Field(
        default=15, ge=0, description="A session's bar is known this long after close."
    )
    freshness_grace_minutes: int = Field(
        default=60, ge=0, description="An asset is late that lacks a session this long after its bars are known."
    )
    alert_url: SecretStr | None = Field(
        default=None, description="HTTP address that is sent alerts about late assets, as JSON; unset means none."
    )

    minute_price_tolerance: float = Field(
        default=0.005, gt=0, description="Relative difference allowed between minutes rolled up and the daily bar."
    )
    minute_volume_min: float = Field(
        default=0.5, ge=0, description="Least share of the daily volume in the minutes: auctions are in the day's only."
    )
    minute_volume_max: float = Field(default=1.05, gt=0, description="Most of the daily volume in the minutes.")
    minute_share_min: float = Field(
        default=0.95, ge=0, le=1, description="Share of a session's minutes that each traded symbol should have."
    )

    account: str = Field(default="paper", description="The account that targets are made for.")
    initial_cash: Decimal = Field(
        default=Decimal("1000000.00"), gt=0, description="Paper account's first balance, USD."
    )
    max_gross: float = Field(default=1.0, gt=0, description="Portfolio limit: sum of absolute weights.")
    max_net: float = Field(default=1.0, gt=0, description="Portfolio limit: absolute sum of weights.")
    max_weight: float = Field(default=0.30, gt=0, le=1, description="Portfolio limit: absolute weight per name.")

    broker_url: str = Field(default="", description="Alpaca trading API; empty means the local paper exchange.")
    broker: Literal["alpaca", "interactive_brokers"] = Field(
        default="alpaca", description="The broker's adapter; the local paper exchange speaks Alpaca's API."
    )
    ib_host: str = Field(default="127.0.0.1", description="Where TWS or IB Gateway listens.")
    ib_port: int = Field(
        default=7497, ge=1, le=65535, description="TWS 7497 paper, 7496 live; IB Gateway 4002 paper, 4001 live."
    )
    ib_client_id: int = Field(
        default=17, ge=1, description="The daemon's own id at TWS: only it can cancel what it sent."
    )
    ib_account: str = Field(default="", description="Account at Interactive Brokers; empty: the only one.")
    clock: Literal["system", "exchange"] = Field(
        default="exchange", description="The daemon's market clock: this machine's, or the broker's (replays)."
    )
    send_timeout_seconds: float = Field(default=5.0, gt=0)
    execution: Literal["market", "twap", "vwap", "pov", "is"] = Field(
        default="market", description="How batches are executed: at once, or in slices until their validity ends."
    )
    participation: float = Field(default=0.1, gt=0, le=1, description="POV: share of the market's volume to trade.")
    poll_seconds: float = Field(default=2.0, gt=0, description="The daemon's safety-net poll behind the doorbell.")
    reconcile_seconds: float = Field(default=30.0, gt=0)
    lease_seconds: float = Field(default=10.0, gt=0)
    deadman_seconds: float = Field(
        default=30.0, gt=0, description="A lease not renewed for so long makes the dead-man switch halt and cancel."
    )

    dagster_port: int = Field(default=3000, ge=1, le=65535, description="Dagster webserver.")
    streamlit_port: int = Field(default=8501, ge=1, le=65535, description="Streamlit app.")
    mlflow_port: int = Field(default=5000, ge=1, le=65535, description="MLflow UI.")
    dbt_docs_port: int = Field(default=8580, ge=1, le=65535, description="dbt docs.")
    code_location_port: int = Field(default=4266, ge=1, le=65535, description="Dagster's code location (gRPC).")
    daemon_port: int = Field(default=8700, ge=1, le=65535, description="Execution daemon's API.")
    paper_exchange_port: int = Field(default=8701, ge=1, le=65535, description="Paper exchange.")

    @field_validator("home", "artifacts", "source_folder")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().absolute()

    @field_validator("universe", mode="before")
    @classmethod
    def _list(cls, symbols: object) -> object:
        return symbols.split(",") if isinstance(symbols, str) else symbols

    @field_validator("universe")
    @classmethod
    def _symbols(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        named = tuple(dict.fromkeys(s.strip().upper() for s in symbols if s.strip()))
        if not named:
            raise ValueError("name at least one symbol")
        return named

    @field_validator("source_columns", "source_minute_columns", mode="before")
    @classmethod
    def _mapping(cls, columns: object) -> object:
        if isinstance(columns, dict):
            return tuple(columns.items())
        if not isinstance(columns, str):
            return columns
        pairs = [pair.partition("=") for pair in columns.split(",") if pair.strip()]
        if wrong := [theirs for theirs, sign, _ in pairs if not sign]:
            raise ValueError(f"{wrong[0]!r} is not a pair such as Date=session")
        return tuple((theirs.strip(), ours.strip()) for theirs, _, ours in pairs)

    @field_validator("first_session", "first_partition")
    @classmethod
    def _iso_date(cls, day: str) -> str:
        return date.fromisoformat(day).isoformat()

    @field_validator("deadman_seconds")
    @classmethod
    def _standby_comes_first(cls, seconds: float, info: ValidationInfo) -> float:
        if seconds <= info.data.get("lease_seconds", 0.0):
            raise ValueError("must be more than lease_seconds, so that a standby can take over first")
        return seconds

    @field_validator("database_url")
    @classmethod
    def _postgres_address(cls, address: SecretStr | None) -> SecretStr | None:
        if address is None or not address.get_secret_value():
            return None
        import psycopg

        try:
            psycopg.conninfo.conninfo_to_dict(address.get_secret_value())
        except psycopg.ProgrammingError as error:
            raise ValueError(
                "not the address of a PostgreSQL server, as in postgresql://user:password@host/db"
            ) from error
        return address

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings passes it by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file())

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


def toml_file() -> Path:
    """The settings file: `bifrost.toml` in the current folder, or the one BIFROST_TOML names; need not exist."""
    return Path(os.environ.get("BIFROST_TOML", "bifrost.toml"))


def load_settings(**overrides: Any) -> Settings:
    """The settings in force; raises SettingsError naming the first bad one."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise _wrong(error) from error
    except (OSError, ValueError) as error:  # unreadable or malformed bifrost.toml
        raise SettingsError(
            f"settings cannot be read: {error}", f"Mend {toml_file()} or the BIFROST_* variable"
        ) from error


def _wrong(error: ValidationError) -> SettingsError:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "settings"
    known: Iterable[str] = Settings.model_fields
    if name == "quality" and len(first["loc"]) > 1:
        name, known = f"quality.{first['loc'][1]}", [f"quality.{one}" for one in Thresholds.model_fields]
    if first["type"] == "extra_forbidden":
        near = get_close_matches(name, known, n=1)
        remedy = f"Did you mean {near[0]}?" if near else "`bifrost config` lists all settings"
        return SettingsError(f"{toml_file()} has an unknown setting {name!r}", remedy)
    got = "" if name == "database_url" else f" (got {first.get('input')!r})"
    return SettingsError(
        f"setting {name!r} is wrong: {first['msg'].removeprefix('Value error, ')}{got}",
        f"Set BIFROST_{name.partition('.')[0].upper()}, or {name} in bifrost.toml; `bifrost config` lists all settings",
    )


@dataclass(frozen=True, slots=True)
class Described:
    """One setting for a person to read: `source` is `environment`, `bifrost.toml` or `default`; secrets are masked."""

    name: str
    value: str
    source: str
    meaning: str


def described(settings: Settings) -> list[Described]:
    """Every setting in force, in the order of their definition."""
    in_file = tomllib.loads(toml_file().read_text()) if toml_file().is_file() else {}
    return [
        Described(name, _shown(getattr(settings, name)), _source(name, in_file), field.description or "")
        for name, field in Settings.model_fields.items()
    ]


def unknown_variables() -> list[str]:
    """BIFROST_* environment variables that mean nothing: most likely misspelt."""
    known = {f"BIFROST_{name.upper()}" for name in Settings.model_fields} | {"BIFROST_TOML", "BIFROST_DAGSTER_URL"}
    return sorted(name for name in os.environ if name.startswith("BIFROST_") and name.upper() not in known)


def _shown(value: object) -> str:
    if not isinstance(value, tuple):
        return str(value)  # SecretStr masks itself
    return ",".join(one if isinstance(one, str) else "=".join(one) for one in value)


def _source(name: str, in_file: dict[str, Any]) -> str:
    if any(variable.upper() == f"BIFROST_{name.upper()}" for variable in os.environ):
        return "environment"
    return "bifrost.toml" if name in in_file else "default"
