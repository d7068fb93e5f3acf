"""Serves the dbt documentation on a loopback port, generating it first: `python -m bifrost_cli.dbtdocs PORT`."""

from __future__ import annotations

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bifrost_core.errors import BifrostError
from bifrost_core.settings import ROOT

PROJECT = ROOT / "dbt_project"
PAGES = ("index.html", "manifest.json", "catalog.json")


def generate(project: Path, target: Path) -> None:
    """Write the pages into `target`; needs the warehouse, whose columns the catalog lists."""
    from dbt.cli.main import dbtRunner

    where = ["--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(target)]
    done = dbtRunner().invoke(["--quiet", "docs", "generate", *where])
    if not done.success:
        raise BifrostError(f"dbt docs generate failed: {done.exception or done.result}", "Run `bifrost doctor`")


class Pages(SimpleHTTPRequestHandler):
    """The three files of the documentation and nothing else that dbt leaves in its target folder."""

    def send_head(self):  # type: ignore[no-untyped-def]
        name = self.path.split("?")[0].strip("/") or "index.html"
        if name not in PAGES:
            self.send_error(404)
            return None
        return super().send_head()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing about what was read."""


def main(port: int) -> None:
    """Generate if a page is missing, then serve until ended."""
    target = PROJECT / "target"
    if not all((target / page).exists() for page in PAGES):
        generate(PROJECT, target)
    with ThreadingHTTPServer(("127.0.0.1", port), partial(Pages, directory=str(target))) as server:
        print(f"dbt docs on http://127.0.0.1:{port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except BifrostError as error:
        sys.exit(str(error))
