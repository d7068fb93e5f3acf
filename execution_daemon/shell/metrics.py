"""What the daemon counts and times, in a Prometheus registry of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

BUCKETS_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
Gauges = Mapping[str, "float | Mapping[tuple[tuple[str, str], ...], float]"]
"""By name: a number, or one for each set of labels."""


class Metrics:
    """Counters by label value and histograms in seconds, since the start. Several may live in one process."""

    def __init__(self) -> None:
        self.decisions: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.batches: Counter[str] = Counter()
        self.reconciliations: Counter[str] = Counter()
        self._registry = CollectorRegistry()
        self._registry.register(_Counters(self))
        self.intent_commit = self._histogram("intent_commit", "From the call to the durable commit of the intents")
        self.broker_answer = self._histogram("broker_answer", "From sending an order to the broker's answer")
        self.event_to_decision = self._histogram("event_to_decision", "The core alone: from an input to its effects")
        self.reconcile = self._histogram("reconcile", "One comparison of book and broker, with all looks at the ledger")

    def _histogram(self, name: str, meaning: str) -> Histogram:
        return Histogram(f"bifrost_{name}_seconds", meaning, buckets=BUCKETS_SECONDS, registry=self._registry)

    def text(self, gauges: Gauges) -> str:
        """The exposition in Prometheus' text format: what was counted, and `gauges` as they are now."""
        now = CollectorRegistry()
        now.register(_Now(gauges))
        return (generate_latest(self._registry) + generate_latest(now)).decode()


class _Counters(Collector):
    """The counters, read when they are asked for."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        of = self._metrics
        yield _counter("risk_decisions", "Orders decided on, by reason code", "reason_code", of.decisions)
        yield _counter("order_events", "Things that happened to orders", "kind", of.events)
        yield _counter("batches", "Target batches decided on", "status", of.batches)
        yield _counter("reconciliations", "Comparisons of book and broker", "outcome", of.reconciliations)


class _Now(Collector):
    """Gauges of one moment."""

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        for name, value in self._gauges.items():
            if not isinstance(value, Mapping):
                yield GaugeMetricFamily(name, name, value=value)
                continue
            labels = [label for label, _ in next(iter(value), ())]
            family = GaugeMetricFamily(name, name, labels=labels)
            for key, number in value.items():
                family.add_metric([text for _, text in key], number)
            yield family


def _counter(name: str, meaning: str, label: str, counts: Counter[str]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"bifrost_{name}", meaning, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([value], count)
    return family
