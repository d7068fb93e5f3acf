from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from bifrost_core.errors import WarehouseError
from bifrost_core.secrets import Secrets
from bifrost_core.settings import Settings, load_settings
from bifrost_core.warehouse import databases, migrate
from bifrost_core.warehouse.connect import Database, Role, connect, url


def as_superuser(settings: Settings) -> Settings:
    """The same server, as an external one whose URL's user is the superuser."""
    host = psycopg.conninfo.conninfo_to_dict(url(settings, Role.OWNER))["host"]
    address = f"postgresql://postgres:{settings.secrets.superuser_password}@/postgres?host={host}"
    return load_settings(home=settings.home, database=settings.database, database_url=SecretStr(address))


@pytest.fixture
def bare(server: Settings) -> Iterator[Settings]:
    """Settings of databases that do not exist yet, on the session's server."""
    settings = load_settings(home=server.home, database="t_bare")
    yield settings
    with migrate.maintenance(as_superuser(server)) as connection:
        for database in Database:
            drop = sql.SQL("drop database if exists {} with (force)")
            connection.execute(drop.format(sql.Identifier(settings.database + database)))


def test_from_nothing_to_head_and_then_nothing(bare: Settings) -> None:
    """A first install makes everything, and the second `make demo` makes nothing again."""
    assert migrate.current(bare) is None
    assert migrate.pending(bare)[0] == "0001"
    first = migrate.upgrade(bare)
    assert (first.before, first.after) == (None, migrate.head())
    assert migrate.pending(bare) == ()
    again = migrate.upgrade(bare)
    assert again.before == again.after == migrate.current(bare) == migrate.head()


def test_two_at_once(bare: Settings) -> None:
    """`make demo` and `make up` in two terminals migrate one server: the second waits and finds it done."""
    done: list[migrate.Upgraded] = []
    threads = [threading.Thread(target=lambda: done.append(migrate.upgrade(bare))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(upgraded.before or "" for upgraded in done) == ["", migrate.head(), migrate.head()]


def test_missing_tool_database_is_made_again(bare: Settings) -> None:
    """A lost Dagster database at an up-to-date warehouse would never come back."""
    migrate.upgrade(bare)
    with migrate.maintenance(bare) as connection:
        connection.execute(sql.SQL("drop database {}").format(sql.Identifier(f"{bare.database}_dagster")))
    migrate.upgrade(bare)
    connect(bare, Role.PIPELINE, Database.DAGSTER).close()


def test_failed_revision_leaves_nothing(bare: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-applied migration can neither go on nor go back."""
    from bifrost_core.warehouse.migrations import files

    broken = bare.home / "broken_sql"
    broken.mkdir(exist_ok=True)
    for path in files.FOLDER.glob("*.sql"):
        (broken / path.name).write_text(path.read_text())
    (broken / "0001_grants.sql").write_text("grant select on nowhere to bifrost_reader")
    with monkeypatch.context() as patch, pytest.raises(Exception, match="nowhere"):
        patch.setattr(files, "FOLDER", broken)
        migrate.upgrade(bare)
    assert migrate.current(bare) is None
    assert migrate.upgrade(bare).before is None


def test_newer_database_is_refused(bare: Settings) -> None:
    """Old code on a new schema would write what the new code misreads."""
    migrate.upgrade(bare)
    with connect(bare, Role.OWNER) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    with pytest.raises(WarehouseError, match="newer than this code"):
        migrate.upgrade(bare)


def test_head_is_what_alembic_says() -> None:
    """The quick check reads file names; a revision named otherwise would never be applied."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [migrate.head()]


def test_external_server(bare: Settings) -> None:
    """BIFROST_DATABASE_URL must do all that the embedded server does; the owner is its user, here the superuser."""
    external = as_superuser(bare)
    assert migrate.upgrade(external).before is None
    for role in Role:
        connect(external, role).close()
    with connect(external, Role.OWNER) as connection:
        assert connection.info.user == "postgres"
    with connect(external, Role.PIPELINE) as connection:
        connection.execute("create table marts.made_by_dbt (i int)")


def test_external_server_of_another_installation(settings: Settings) -> None:
    """Setting the passwords again there would lock the other installation's daemon out in the middle of its day."""
    external = as_superuser(settings)
    external.__dict__["secrets"] = Secrets()
    with (
        migrate.maintenance(settings) as connection,
        pytest.raises(WarehouseError, match=r"another password.*secrets\.json"),
    ):
        databases.ensure_passwords(external, connection)
    connect(settings, Role.READER).close()


def test_user_without_rights_is_told(bare: Settings) -> None:
    """A DBA's first question is which rights are missing."""
    login = url(bare, Role.READER).replace(f"/{bare.database}?", "/postgres?")
    external = load_settings(home=bare.home, database=bare.database, database_url=SecretStr(login))
    with pytest.raises(WarehouseError, match=r"bifrost_reader may not set up the server.*CREATEROLE"):
        migrate.upgrade(external)


def test_lost_passwords_are_set_again_on_the_embedded_server(server: Settings, settings: Settings) -> None:
    """With secrets.json regenerated, every part but the owner would be locked out."""
    with migrate.maintenance(server) as connection:
        connection.execute("alter role bifrost_api password 'something else'")
        with pytest.raises(WarehouseError, match=r"refuses bifrost_api: .*Run `bifrost db migrate`"):
            connect(settings, Role.API)
        databases.ensure_passwords(settings, connection)
    connect(settings, Role.API).close()
