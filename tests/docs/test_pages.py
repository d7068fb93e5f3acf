"""What the documentation says exists, exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bifrost_core.settings import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
TREE = re.compile(r"`((?:bifrost_\w+|execution_daemon|streamlit_app|dbt_project|benchmarks|tests|docs)/[\w/.-]+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    """A renamed file leaves the pages that name it wrong."""
    text = page.read_text()
    missing = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    missing += [path for path in TREE.findall(text) if not (ROOT / path.rstrip("/")).exists()]
    shown = re.findall(r'title="([^"]+)"', text)
    assert [path for path in missing if path not in shown] == []
