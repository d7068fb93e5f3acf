from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from bifrost_core.errors import SettingsError
from bifrost_core.settings import Settings, described, load_settings, unknown_variables
from bifrost_core.thresholds import Thresholds


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "bifrost.toml"
    monkeypatch.setenv("BIFROST_TOML", str(path))
    return path


def test_every_default_works_on_a_bare_laptop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A setting without a default stops the first `make demo`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = load_settings()
    assert settings.home == tmp_path / ".bifrost"
    assert settings.database_url is None


def test_environment_wins_over_file_wins_over_default(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong order would trade with the settings of another day."""
    toml.write_text('account = "from-file"\nbenchmark = "FILE"\n')
    monkeypatch.setenv("BIFROST_ACCOUNT", "from-env")
    settings = load_settings()
    assert (settings.account, settings.benchmark, settings.exchange) == ("from-env", "FILE", "XNYS")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("DAGSTER_PORT", "0", "dagster_port"),
        ("DAGSTER_PORT", "many", "dagster_port"),
        ("PROVIDER", "../evil", "provider"),
        ("UNIVERSE", " , ", "name at least one symbol"),
        ("FIRST_SESSION", "yesterday", "first_session"),
        ("DATABASE", "Bad-Name", "database"),
        ("MAX_WEIGHT", "1.5", "max_weight"),
        ("INITIAL_CASH", "-1", "initial_cash"),
        ("QUALITY", '{"jump_sigmas": 0}', "quality.jump_sigmas"),
    ],
)
def test_bad_variable_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    """pydantic's own message is a page long and does not name the variable."""
    monkeypatch.setenv(f"BIFROST_{name}", value)
    with pytest.raises(SettingsError, match=says) as caught:
        load_settings()
    assert f"BIFROST_{name}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_database_url_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rejected value may hold a password, and the message goes to logs."""
    monkeypatch.setenv("BIFROST_DATABASE_URL", "postgres hunter2")
    with pytest.raises(SettingsError, match="database_url") as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


def test_unknown_key_in_the_file(toml: Path) -> None:
    """A misspelt limit that is ignored is no limit."""
    toml.write_text("max_wieght = 0.1\n")
    with pytest.raises(SettingsError, match=r"unknown setting 'max_wieght'\. Did you mean max_weight\?"):
        load_settings()


def test_malformed_file(toml: Path) -> None:
    """The file is named; a parser's message alone does not say which file."""
    toml.write_text("account = \n")
    with pytest.raises(SettingsError, match=r"cannot be read.*bifrost\.toml"):
        load_settings()


def test_misspelt_variables_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment cannot refuse unknown names, so the doctor has to see them."""
    monkeypatch.setenv("BIFROST_PROVDER", "yahoo")
    monkeypatch.setenv("BIFROST_PROVIDER", "yahoo")
    assert unknown_variables() == ["BIFROST_PROVDER"]


@pytest.mark.parametrize("text", ["aapl,MSFT", " AAPL , msft,AAPL,"])
def test_universe_as_people_write_it(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A list in the environment is written with commas, not as JSON."""
    monkeypatch.setenv("BIFROST_UNIVERSE", text)
    assert load_settings().universe == ("AAPL", "MSFT")


def test_universe_as_a_toml_list(toml: Path) -> None:
    """In the file it is a list."""
    toml.write_text('universe = ["IBM"]\n')
    assert load_settings().universe == ("IBM",)


def test_columns_of_a_dump_as_people_write_them(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the file they are a table, in the environment pairs; `bifrost config` shows them as pairs."""
    toml.write_text('[source_columns]\nDate = "session"\n"Adj Close" = "vendor_adj_close"\n')
    monkeypatch.setenv("BIFROST_SOURCE_MINUTE_COLUMNS", "Time=start_at, Ticker = symbol,")
    settings = load_settings()
    assert settings.source_columns == (("Date", "session"), ("Adj Close", "vendor_adj_close"))
    assert settings.source_minute_columns == (("Time", "start_at"), ("Ticker", "symbol"))
    lines = {line.name: line.value for line in described(settings)}
    assert lines["source_columns"] == "Date=session,Adj Close=vendor_adj_close"
    monkeypatch.setenv("BIFROST_SOURCE_COLUMNS", "Date")
    with pytest.raises(SettingsError, match="'Date' is not a pair such as Date=session"):
        load_settings()


def test_description_masks_secrets_and_names_sources(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`bifrost config` is what people paste into issues."""
    toml.write_text('account = "mine"\n')
    monkeypatch.setenv("BIFROST_PROVIDER", "yahoo")
    settings = load_settings(database_url=SecretStr("postgresql://me:hunter2@host/x"))
    lines = {line.name: line for line in described(settings)}
    assert set(lines) == set(Settings.model_fields)
    assert "hunter2" not in str(lines)
    assert (lines["account"].value, lines["account"].source) == ("mine", "bifrost.toml")
    assert (lines["provider"].value, lines["provider"].source) == ("yahoo", "environment")
    assert lines["exchange"].source == "default"


def test_one_threshold_is_changed_in_the_file_and_the_others_stay(toml: Path) -> None:
    """A table in the file that replaced all defaults would switch checks off in silence."""
    toml.write_text("[quality]\njump_sigmas = 8\n")
    limits = load_settings().quality
    assert (limits.jump_sigmas, limits.wick_sigmas) == (8.0, Thresholds().wick_sigmas)


def test_a_misspelt_threshold_is_named(toml: Path) -> None:
    """A threshold that nobody reads checks nothing."""
    toml.write_text("[quality]\njump_sigma = 8\n")
    with pytest.raises(SettingsError, match=r"'quality.jump_sigma'. Did you mean quality.jump_sigmas\?"):
        load_settings()
