"""Serves the dbt documentation on a loopback port: `python -m bifrost_cli.dbtdocs PORT`.

It is one self-contained page, made by dbt in a process of its own: at the start, and again when somebody opens it after
a model or a table changed. The nightly run has no part in it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bifrost_assets.warehouse_models.project import PROJECT, fingerprint
from bifrost_core.environment import part_environment
from bifrost_core.errors import BifrostError
from bifrost_core.settings import Settings, load_settings
from bifrost_core.warehouse.connect import Role, connect

CHECK_SECONDS = 60.0
COLUMNS = """
    select coalesce(md5(string_agg(concat_ws(' ', table_schema, table_name, column_name, data_type), ',' order by
        table_schema, table_name, ordinal_position)), '')
    from information_schema.columns where table_schema = any(%s)
"""
SCHEMAS = ["raw", "reference", "trading", "staging", "intermediate", "marts"]


class Docs:
    """The page, and what it was made from."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = settings.home / "dbt" / "docs" / settings.database
        self.page = self.folder / "static_index.html"
        self._mark = self.folder / "made_from"
        self._one_at_a_time = threading.Lock()

    def refresh(self) -> None:
        """Make the page if a model or a table changed since; raises BifrostError where dbt cannot."""
        with self._one_at_a_time:
            wanted = self._wanted()
            if not self.page.exists() or not self._mark.exists() or self._mark.read_text() != wanted:
                self._generate()
                self._mark.write_text(wanted)

    def _wanted(self) -> str:
        with connect(self.settings, Role.PIPELINE) as connection:
            row = connection.execute(COLUMNS, (SCHEMAS,)).fetchone()
        return f"{fingerprint(PROJECT)} {row[0] if row else ''}"

    def _generate(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        where = ["--project-dir", PROJECT, "--profiles-dir", PROJECT]
        where += ["--target-path", self.folder, "--log-path", self.folder]
        command = [sys.executable, "-m", "dbt.cli.main", "--quiet", "docs", "generate", "--static", *map(str, where)]
        environment = {**os.environ, **part_environment(self.settings)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode or not self.page.exists():
            said = " ".join((done.stdout + done.stderr).split())[-500:]
            raise BifrostError(f"dbt docs generate failed: {said}", "Run `bifrost doctor`")


class Server(ThreadingHTTPServer):
    """Holds the page, and knows when it was last compared with the warehouse."""

    def __init__(self, port: int, docs: Docs) -> None:
        self.docs = docs
        self._checked = time.monotonic()
        self._checking = threading.Lock()
        super().__init__(("127.0.0.1", port), Page)

    def look_again(self) -> None:
        """Bring the page up to date behind the reader's back, at most once a minute."""
        with self._checking:
            if time.monotonic() - self._checked < CHECK_SECONDS:
                return
            self._checked = time.monotonic()
        threading.Thread(target=self._refresh, daemon=True).start()

    def _refresh(self) -> None:
        try:
            self.docs.refresh()
        except BifrostError as error:
            print(f"the page stays as it is: {error}", file=sys.stderr, flush=True)


class Page(BaseHTTPRequestHandler):
    """The page at `/`, and nothing else that dbt leaves beside it."""

    server: Server

    def do_GET(self) -> None:
        if self.path.split("?")[0] not in {"/", "/index.html"}:
            self.send_error(404)
            return
        body = self.server.docs.page.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.server.look_again()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing about what was read."""


def main(port: int) -> None:
    """Make the page where that is needed, then serve it until ended."""
    docs = Docs(load_settings())
    docs.refresh()
    with Server(port, docs) as server:
        print(f"dbt docs on http://127.0.0.1:{port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except BifrostError as error:
        sys.exit(str(error))
