"""The entry file: navigation, the sidebar's state of the shop, and one place where errors become words."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from streamlit_app import layout, queries
from streamlit_app.views import operations, overview, provenance, quality, research, revisions, risk

HERE = Path(__file__).parent  # images are served from here: nothing is loaded from the internet
PAGES = (
    (overview, "Overview", ":material/monitoring:", ""),
    (research, "Research", ":material/science:", "research"),
    (risk, "Risk and compliance", ":material/shield:", "risk"),
    (quality, "Data quality", ":material/rule:", "quality"),
    (revisions, "Revisions", ":material/history:", "revisions"),
    (operations, "Operations", ":material/settings_heart:", "operations"),
    (provenance, "Provenance", ":material/account_tree:", "provenance"),
)


def main() -> None:
    """Draw the page that the address names."""
    st.set_page_config(page_title="Bifrost Trader", page_icon=HERE / "icon.svg", layout="wide")
    st.logo(HERE / "logo.svg", icon_image=HERE / "icon.svg", size="large")
    layout.style()
    pages = [
        st.Page(layout.guarded(view.render), title=title, icon=icon, url_path=path, default=not path)
        for view, title, icon, path in PAGES
    ]
    page = st.navigation(pages)
    layout.documentation(queries.settings().dbt_docs_port)
    page.run()


main()
