"""Pick a fill, and see everything it came from, down to the bytes a provider sent."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from bifrost_core.errors import BifrostError
from bifrost_core.lineage import Link, as_text
from streamlit_app import layout, queries
from streamlit_app import statements as sql

SHOWN_FILLS = 500
CSS = """<style>
.trace,.trace ul{list-style:none;margin:0;padding-left:1.15rem}
.trace{padding-left:0}
.trace ul{border-left:1px solid #dfe5ec;margin-left:.55rem}
.trace li{padding:.14rem 0;margin:0;font-size:.8rem}
.trace .k{display:inline-block;min-width:5.2rem;padding:.05rem .45rem;margin-right:.5rem;border-radius:4px;
background:#e8eefc;color:#1d4ed8;font-size:.74rem;text-align:center}
.trace .n{font-family:ui-monospace,monospace;font-size:.78rem;overflow-wrap:anywhere}
.trace .f{color:#43525f;margin-left:.5rem}
.trace .r{color:#8493a2;margin-left:.5rem}
.trace .bad>.k{background:#fdecea;color:#b42318}
.trace .p{color:#b42318;font-weight:600;margin-left:.5rem}
</style>"""


def render() -> None:
    """Draw the page; `?id=` in its address opens a trace."""
    layout.title(
        "Provenance", "From a fill back to the bytes that a provider sent, with the run and code version of each step."
    )
    queries.ensure_warehouse()
    fills = queries.rows(sql.FILLS, queries.settings().account, SHOWN_FILLS)
    names = {f"fill:{row['fill_id']}": _named(row) for row in fills.iter_rows(named=True)}
    left, right = st.columns(2)
    picked = left.selectbox("Fill", list(names), format_func=names.__getitem__, disabled=not names)
    typed = right.text_input("or any order, fill or execution id", value=st.query_params.get("id", ""))
    identifier = typed.strip() or picked
    if not identifier:
        layout.empty("Nothing was filled yet.")
        return
    try:
        trace = queries.trace(identifier)
    except BifrostError as error:
        st.warning(f"**{error.problem}.** {error.remedy}.", icon=":material/search_off:")
        return
    _show(trace)


def _named(row: dict[str, Any]) -> str:
    day, price = f"{row['event_at']:%Y-%m-%d}", f"{row['price']:,.2f}"
    return f"{day} {row['side']} {row['quantity']:,.0f} {row['symbol']} at {price}"


def _show(trace: Link) -> None:
    broken = trace.broken
    if broken:
        st.error(f"{layout.plural(len(broken), 'link')} lead nowhere.", icon=":material/link_off:")
    else:
        st.success("Every link resolves, down to the payloads of the bars.", icon=":material/link:")
    st.html(f'{CSS}<ul class="trace">{_item(trace, set())}</ul>')
    with st.expander("As text"):
        st.code(as_text(trace), language=None)


def _item(link: Link, shown: set[Link]) -> str:
    """One list item with the links behind it; what was shown before is only named."""
    again = bool(link.sources) and link in shown
    shown.add(link)
    facts = [escape(f"{label} {value}".strip()) for label, value in link.facts] + (["as above"] if again else [])
    made = " · ".join(escape(part) for part in _made(link))
    problem = "".join(f'<span class="p">{escape(text)}</span>' for text in (link.problem, link.warning) if text)
    below = "" if again else "".join(_item(source, shown) for source in link.sources)
    return (
        f'<li class="{"bad" if link.problem else ""}"><span class="k">{escape(link.kind)}</span>'
        f'<span class="n">{escape(link.name)}</span><span class="f">{" · ".join(facts)}</span>'
        f'<span class="r">{made}</span>{problem}{f"<ul>{below}</ul>" if below else ""}</li>'
    )


def _made(link: Link) -> list[str]:
    run = [f"run {link.dagster_run_id[:8]}"] if link.dagster_run_id else []
    return run + ([f"code {link.code_version}"] if link.code_version else [])
