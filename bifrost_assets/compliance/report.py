"""Reports as bytes: rows in, CSV and self-contained HTML out. The same rows and header give the same bytes."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from html import escape
from typing import Any

from bifrost_core.provenance import sha256

Row = Mapping[str, Any]
Summary = list[tuple[str, str]]

STYLE = """
body{font:14px/1.45 system-ui,sans-serif;color:#1b2733;margin:2rem auto;max-width:82rem;padding:0 1.5rem}
h1{font-size:1.35rem;margin:0 0 .2rem}p.sub{color:#5b6b7b;margin:0 0 1.2rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1.2rem;margin:0 0 1.4rem}dt{color:#5b6b7b}dd{margin:0}
code{font:12px ui-monospace,monospace}div.table{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:12px;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .55rem;text-align:left;border-bottom:1px solid #e3e8ee;white-space:nowrap}
th{background:#f4f6f9;position:sticky;top:0}td.n,th.n{text-align:right}tr.bad td{background:#fdecea}
"""
NUMBERS = {"event_seq", "decision_id", "order_qty", "last_qty", "last_px", "limit_value", "actual_value"}


@dataclass(frozen=True, slots=True)
class Report:
    """What a report shows: its columns in their fixed order, the figures of its header, and the rows that stand out."""

    name: str
    title: str
    columns: tuple[str, ...]
    summary: Callable[[Sequence[Row]], Summary]
    stands_out: Callable[[Row], bool]


@dataclass(frozen=True, slots=True)
class Header:
    """Where a report comes from."""

    session: date
    code_version: str
    dagster_run_id: str


def to_csv(report: Report, rows: Sequence[Row]) -> bytes:
    """The rows, columns in the report's order; decimals without trailing zeros, times ISO 8601 in UTC."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(report.columns)
    writer.writerows([_text(row[name]) for name in report.columns] for row in rows)
    return out.getvalue().encode()


def to_html(report: Report, header: Header, rows: Sequence[Row]) -> bytes:
    """A page that needs nothing else; its header names the SHA-256 of the CSV with the same rows."""
    accounts = ", ".join(sorted({str(row["account"]) for row in rows}))
    facts = [
        ("Account", accounts),
        ("Session", str(header.session)),
        *report.summary(rows),
        ("Code version", header.code_version),
        ("Dagster run", header.dagster_run_id),
        ("SHA-256 of the CSV", sha256(to_csv(report, rows))),
    ]
    title = f"{report.title}, {header.session}"
    listed = "".join(f"<dt>{escape(label)}</dt><dd>{escape(value)}</dd>" for label, value in facts)
    heads = "".join(f"<th{_class(name)}>{escape(name.replace('_', ' '))}</th>" for name in report.columns)
    body = "\n".join(_html_row(report, row) for row in rows)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n"
        f'<p class="sub">Bifrost Trader compliance. Times are UTC, money is USD.</p>\n<dl>{listed}</dl>\n'
        f'<div class="table"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>\n'
        "</body>\n</html>\n"
    ).encode()


def _html_row(report: Report, row: Row) -> str:
    cells = "".join(f"<td{_class(name)}>{escape(_text(row[name]))}</td>" for name in report.columns)
    mark = ' class="bad"' if report.stands_out(row) else ""
    return f"<tr{mark}>{cells}</tr>"


def _class(name: str) -> str:
    return ' class="n"' if name in NUMBERS else ""


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return str(value)


def _trail_summary(rows: Sequence[Row]) -> Summary:
    fills = [row for row in rows if row["last_qty"]]
    value = sum((row["last_qty"] * row["last_px"] for row in fills), Decimal(0))
    return [
        ("Events", f"{len(rows):,}"),
        ("Orders", f"{len({row['client_order_id'] for row in rows}):,}"),
        ("Fills", f"{len(fills):,}"),
        ("Value traded", f"{value:,.2f} USD"),
    ]


def _decision_summary(rows: Sequence[Row]) -> Summary:
    outcomes = Counter(row["outcome"] for row in rows)
    reasons = Counter(row["reason_code"] for row in rows if row["outcome"] == "denied")
    listed = ", ".join(f"{code} {count:,}" for code, count in sorted(reasons.items()))
    return [
        ("Decisions", f"{len(rows):,}"),
        ("Accepted", f"{outcomes['accepted']:,}"),
        ("Denied", f"{outcomes['denied']:,}" + (f" ({listed})" if listed else "")),
    ]


ORDER_AUDIT_TRAIL = Report(
    name="order_audit_trail",
    title="Order audit trail",
    columns=("session", "event_seq", "event_at", "account", "client_order_id", "broker_order_id", "symbol", "side",
             "order_type", "time_in_force", "order_qty", "event_kind", "ord_status", "last_qty", "last_px", "batch_id"),
    summary=_trail_summary,
    stands_out=lambda row: row["ord_status"] in {"rejected", "unknown"},
)  # fmt: skip
LIMIT_DECISIONS = Report(
    name="limit_decisions",
    title="Limit decisions",
    columns=("session", "decision_id", "decided_at", "account", "client_order_id", "symbol", "outcome", "reason_code",
             "limit_value", "actual_value"),
    summary=_decision_summary,
    stands_out=lambda row: row["outcome"] == "denied",
)  # fmt: skip
