"""One step of a trace, with the steps it came from; and the trace as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Link:
    """A row that something came from.

    `kind` is fill, order, decision, parent, command, target, signal, prediction, model, features, vintages or payload;
    `name` says which one; `facts` are (label, value) for a person. `problem` says why the link does not resolve; it is
    None on a good one.
    `warning` says why what is shown may not be what was traded on.
    `sources` are the links this one was made from.
    """

    kind: str
    name: str
    facts: tuple[tuple[str, str], ...] = ()
    dagster_run_id: str | None = None
    code_version: str | None = None
    problem: str | None = None
    warning: str | None = None
    sources: tuple[Link, ...] = ()

    def walk(self) -> Iterator[Link]:
        """This link and everything behind it, depth first."""
        yield self
        for source in self.sources:
            yield from source.walk()

    @property
    def broken(self) -> tuple[Link, ...]:
        """The links of this trace that do not resolve."""
        return tuple(link for link in self.walk() if link.problem)

    def __str__(self) -> str:
        return as_text(self)


def missing(kind: str, name: str, problem: str, *sources: Link) -> Link:
    """A link that leads nowhere."""
    return Link(kind, name, problem=problem, sources=sources)


def labelled(facts: Iterable[tuple[str, object]]) -> tuple[tuple[str, str], ...]:
    """Facts as text."""
    return tuple((label, str(value)) for label, value in facts)


def number(value: Decimal | None) -> str:
    """A number for a person."""
    return "-" if value is None else f"{value.normalize():,f}"


def as_text(trace: Link) -> str:
    """The trace as an indented tree, one line a link.

    What does not resolve is marked BROKEN, and counted at the end, as warnings are; what was shown before is not shown
    again.
    """
    lines = list(_tree(trace, "", "", set()))
    count = len({(link.kind, link.name, link.problem) for link in trace.broken})
    ending = f"{count} broken link{'s' if count > 1 else ''}" if count else "every link resolves"
    warned = len({(link.kind, link.name) for link in trace.walk() if link.warning})
    return "\n".join([*lines, "", ending + (f", {warned} with a warning" if warned else "")])


def _tree(link: Link, here: str, below: str, shown: set[Link]) -> Iterator[str]:
    again = bool(link.sources) and link in shown
    shown.add(link)
    yield here + _line(link) + (" · as above" if again else "")
    for source in () if again else link.sources:
        is_last = source is link.sources[-1]
        yield from _tree(source, below + ("└─ " if is_last else "├─ "), below + ("   " if is_last else "│  "), shown)


def _line(link: Link) -> str:
    parts = [f"{link.kind} {link.name}", *(f"{label} {value}".strip() for label, value in link.facts)]
    made = [f"run {link.dagster_run_id}"] if link.dagster_run_id else []
    made += [f"code {link.code_version}"] if link.code_version else []
    text = " · ".join(parts + made)
    text += f"  ← BROKEN: {link.problem}" if link.problem else ""
    return text + (f"  ← WARNING: {link.warning}" if link.warning else "")
