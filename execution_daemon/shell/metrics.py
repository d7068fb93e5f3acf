"""Counters in Prometheus' text format, without its client library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


@dataclass(slots=True)
class Histogram:
    """Observations in seconds, cumulative by upper bound."""

    counts: Counter[float] = field(default_factory=Counter)
    total_seconds: float = 0.0
    observations: int = 0

    def observe(self, seconds: float) -> None:
        self.total_seconds += seconds
        self.observations += 1
        for bound in BUCKETS_SECONDS:
            if seconds <= bound:
                self.counts[bound] += 1

    def lines(self, name: str) -> Iterator[str]:
        yield f"# TYPE {name} histogram"
        for bound in BUCKETS_SECONDS:
            yield f'{name}_bucket{{le="{bound}"}} {self.counts[bound]}'
        yield f'{name}_bucket{{le="+Inf"}} {self.observations}'
        yield f"{name}_sum {self.total_seconds}"
        yield f"{name}_count {self.observations}"


@dataclass(slots=True)
class Metrics:
    """What the daemon counts since it started."""

    decisions: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    batches: Counter[str] = field(default_factory=Counter)
    reconciliations: Counter[str] = field(default_factory=Counter)
    intent_commit: Histogram = field(default_factory=Histogram)
    broker_answer: Histogram = field(default_factory=Histogram)

    def text(self, gauges: dict[str, float]) -> str:
        """The exposition: these counters and `gauges` (name to value)."""
        lines: list[str] = []
        lines += _counter("bifrost_risk_decisions_total", "reason_code", self.decisions)
        lines += _counter("bifrost_order_events_total", "kind", self.events)
        lines += _counter("bifrost_batches_total", "status", self.batches)
        lines += _counter("bifrost_reconciliations_total", "outcome", self.reconciliations)
        lines += self.intent_commit.lines("bifrost_intent_commit_seconds")
        lines += self.broker_answer.lines("bifrost_broker_answer_seconds")
        for name, value in gauges.items():
            lines += [f"# TYPE {name} gauge", f"{name} {value}"]
        return "\n".join(lines) + "\n"


def _counter(name: str, label: str, counts: Counter[str]) -> Iterator[str]:
    yield f"# TYPE {name} counter"
    for value, count in sorted(counts.items()):
        yield f'{name}{{{label}="{value}"}} {count}'
