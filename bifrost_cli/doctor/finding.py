"""What a check says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bifrost_core.errors import BifrostError
from bifrost_core.settings import Settings


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether `subject` is well; `remedy` says how to mend it where it is not."""

    subject: str
    ok: bool
    detail: str
    remedy: str = ""

    def line(self) -> str:
        """For a terminal."""
        mend = "" if self.ok or not self.remedy else f". {self.remedy}"
        return f"{'ok ' if self.ok else 'BAD'}  {self.subject:<16} {' '.join(self.detail.split())}{mend}"


Check = Callable[[Settings], Iterable[Finding]]


def findings_of(check: Check, settings: Settings) -> Iterator[Finding]:
    """The findings of one check; one that fails is a finding too, and never ends the examination."""
    subject = check.__name__.replace("_", " ")
    try:
        yield from check(settings)
    except BifrostError as error:
        yield Finding(subject, False, error.problem, error.remedy)
    except Exception as error:
        yield Finding(subject, False, f"the check failed: {type(error).__name__}: {error}", "Please report it")
