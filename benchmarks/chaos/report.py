"""What a campaign found: chaos.json, a table for the terminal, and the block of docs/reliability.md made from them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.chaos.campaign import Outcome
from benchmarks.chaos.scenarios import SCENARIOS
from bifrost_core.settings import ROOT

RESULTS = Path(__file__).parent.parent / "results" / "chaos.json"
DOCUMENT = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- campaign: written by python -m benchmarks.chaos --table -->", "<!-- end of campaign -->"


def report_of(
    outcomes: Sequence[Outcome], simulated: Mapping[str, Any] | None, planted: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The three regimes as JSON; one that was not run is null, not zero."""
    return {
        "simulation": simulated,
        "planted": None if planted is None else {name: planted[name] for name in ("planted", "caught", "missed")},
        "processes": _processes(outcomes) if outcomes else None,
    }


def _processes(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    timely = [one.seconds for outcome in outcomes for one in outcome.recoveries if not one.is_in_fault]
    return {
        "runs": len(outcomes),
        "kills": sum(outcome.kills for outcome in outcomes),
        "violations": sum(len(outcome.violations) for outcome in outcomes),
        "orders": sum(outcome.orders for outcome in outcomes),
        "fills": sum(outcome.fills for outcome in outcomes),
        "harmed_requests": sum(outcome.harmed_requests for outcome in outcomes),
        "recoveries": _recoveries(timely),
        "scenarios": [_row(name, runs) for name, runs in _by_name(outcomes).items()],
    }


def has_failed(report: Mapping[str, Any]) -> bool:
    """Whether an invariant was violated or a planted bug missed."""
    violations = sum((report[regime] or {}).get("violations", 0) for regime in ("simulation", "processes"))
    return bool(violations or (report["planted"] or {}).get("missed"))


def _by_name(outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    grouped: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        grouped[outcome.scenario].append(outcome)
    return dict(grouped)


def _recoveries(seconds: Sequence[float]) -> dict[str, float | int]:
    """How many, and their median and largest, in seconds."""
    return {
        "count": len(seconds),
        "p50": round(median(seconds), 2) if seconds else 0,
        "max": round(max(seconds, default=0), 2),
    }


def _row(name: str, runs: Sequence[Outcome]) -> dict[str, Any]:
    timely = [one.seconds for run in runs for one in run.recoveries if not one.is_in_fault]
    return {
        "name": name,
        "about": SCENARIOS[name].about,
        "runs": len(runs),
        "kills": sum(run.kills for run in runs),
        "orders": sum(run.orders for run in runs),
        "fills": sum(run.fills for run in runs),
        "resends": sum(run.resends for run in runs),
        "harmed_requests": sum(run.harmed_requests for run in runs),
        "recoveries": _recoveries(timely),
        "notes": sorted({note for run in runs for note in run.notes}),
        "violations": [asdict(run) for run in runs if run.violations],
    }


def write(report: Mapping[str, Any], path: Path = RESULTS) -> None:
    """Write the report as JSON; of a regime that was not run, the last one stays."""
    before = json.loads(path.read_text()) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    merged = {regime: found or before.get(regime) for regime, found in report.items()}
    path.write_text(json.dumps(merged, indent=1, default=str) + "\n")


def summary(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The figures that stand for the whole."""
    simulated, planted, ran = (report[regime] or {} for regime in ("simulation", "planted", "processes"))
    recoveries, missed = ran.get("recoveries"), planted.get("missed")
    times = f"{recoveries['p50']:.2f}, {recoveries['max']:.2f}" if recoveries else "not run"
    return [
        ("simulated seeds", _shown(simulated.get("seeds"))),
        ("violations of an invariant in them", _shown(simulated.get("violations"))),
        ("planted bugs, caught", f"{_shown(planted.get('planted'))}, {_shown(planted.get('caught'))}"),
        ("planted bugs missed", "not run" if missed is None else ", ".join(missed) or "none"),
        ("runs of real processes", _shown(ran.get("runs"))),
        ("violations of an invariant in them", _shown(ran.get("violations"))),
        ("processes killed with kill -9", _shown(ran.get("kills"))),
        ("requests harmed between daemon and exchange", _shown(ran.get("harmed_requests"))),
        ("orders, fills", f"{_shown(ran.get('orders'))}, {_shown(ran.get('fills'))}"),
        ("restarts that reconciled and became ready", _shown((recoveries or {}).get("count"))),
        ("seconds until then, median and most", times),
    ]


def _shown(number: int | None) -> str:
    return "not run" if number is None else f"{number:,}"


def _scenarios(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    return (report["processes"] or {}).get("scenarios", [])


def text(report: Mapping[str, Any]) -> str:
    """For the terminal: one line a scenario, then the figures."""
    lines = [
        f"{row['name']:34} {row['runs']:4} runs {row['kills']:4} kills {row['fills']:6} fills"
        f"  recovered {row['recoveries']['max']:5.2f} s at most  {'VIOLATED' if row['violations'] else 'held'}"
        for row in _scenarios(report)
    ]
    return "\n".join([*lines, "", *(f"{what:45} {value}" for what, value in summary(report))])


def markdown(report: Mapping[str, Any]) -> str:
    """For the document: the figures, then one row a scenario."""
    figures = ["| figure | measured |", "|---|---:|", *(f"| {what} | {value} |" for what, value in summary(report))]
    head = "| what is done | runs | kill -9 | harmed | orders | fills | sent again | recovered, at most | invariants |"
    rows = [head, "|---|---:|---:|---:|---:|---:|---:|---:|---|"]
    for row in _scenarios(report):
        numbers = [row[name] for name in ("runs", "kills", "harmed_requests", "orders", "fills", "resends")]
        most = f"{row['recoveries']['max']:.2f} s" if row["recoveries"]["count"] else "in the fault"
        cells = [row["about"], *map(str, numbers), most, "**violated**" if row["violations"] else "held"]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([*figures, "", *rows])


def written(document: str, new: str) -> str:
    """`document` with `new` between its two marks."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{new}\n\n{END}{after}"


def write_document() -> None:
    """Put the last report into docs/reliability.md."""
    new = markdown(json.loads(RESULTS.read_text()))
    DOCUMENT.write_text(written(DOCUMENT.read_text(), new))
