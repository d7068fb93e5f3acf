"""A vendor's answers kept on disk until what came from them is stored: a run that was killed asks only for the rest."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from bifrost_core.errors import ProviderError
from bifrost_core.provenance import sha256


@runtime_checkable
class Resumable(Protocol):
    """A provider that can keep its answers on disk while they are being stored."""

    def resuming(self) -> AbstractContextManager[None]:
        """While the block runs, answers are kept and found again; they are forgotten when it ends by itself."""
        ...


def resuming(provider: object) -> AbstractContextManager[None]:
    """The block in which answers of `provider` are fetched and committed; does nothing where it keeps none."""
    return provider.resuming() if isinstance(provider, Resumable) else nullcontext()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request."""

    content_type: str
    body: bytes


class Spool:
    """Answers by request, one file each, in a folder per edition: an answer is never taken for one of another day."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._edition: Path | None = None
        self._used: set[Path] = set()
        self._lock = threading.Lock()

    @contextmanager
    def keeping(self, edition: str) -> Iterator[None]:
        """Keep answers for the length of the block, and find those of an earlier one that was cut short."""
        self._edition, self._used = self._folder / edition, set()
        self._forget_other_editions()
        try:
            yield
        except ProviderError:  # the answers were the trouble: the next attempt asks again
            self._forget_used()
            raise
        else:
            self._forget_used()
        finally:
            self._edition = None

    def get(self, request: str) -> Answer | None:
        """The whole answer to this request, if it is kept."""
        if (file := self._file(request)) is None:
            return None
        try:
            head, _, body = file.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        digest, _, content_type = head.decode().partition(" ")
        return Answer(content_type, body) if digest == sha256(body) else None

    def put(self, request: str, answer: Answer) -> None:
        """Keep an answer: the file is there whole or not at all."""
        if (file := self._file(request)) is None:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        half.write_bytes(f"{sha256(answer.body)} {answer.content_type}\n".encode() + answer.body)
        half.replace(file)

    def _file(self, request: str) -> Path | None:
        if self._edition is None:
            return None
        file = self._edition / sha256(request.encode())
        with self._lock:
            self._used.add(file)
        return file

    def _forget_used(self) -> None:
        for file in self._used:
            file.unlink(missing_ok=True)

    def _forget_other_editions(self) -> None:
        for folder in self._folder.glob("*"):
            if folder != self._edition:
                shutil.rmtree(folder, ignore_errors=True)
