"""Runs the SQL files of a revision."""

from __future__ import annotations

from pathlib import Path

from alembic import op

FOLDER = Path(__file__).parent / "sql"


def run_sql(*names: str) -> None:
    """Run the files `sql/<name>.sql` in order, each as one script in the migration's transaction.

    The script goes to psycopg as it is: no parameters, so a percent sign is a percent sign.
    """
    raw = op.get_bind().connection.driver_connection
    assert raw is not None
    for name in names:
        raw.execute((FOLDER / f"{name}.sql").read_text())
