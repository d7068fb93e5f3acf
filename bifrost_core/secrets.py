"""Generated secrets of one installation, in one file that only its owner can read."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from bifrost_core.errors import SettingsError


def _token() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class Secrets:
    """Passwords of the database roles, the daemon's API token and the paper exchange's keys."""

    superuser_password: str = field(default_factory=_token, repr=False)
    owner_password: str = field(default_factory=_token, repr=False)
    pipeline_password: str = field(default_factory=_token, repr=False)
    trader_password: str = field(default_factory=_token, repr=False)
    api_password: str = field(default_factory=_token, repr=False)
    reader_password: str = field(default_factory=_token, repr=False)
    daemon_token: str = field(default_factory=_token, repr=False)
    broker_key: str = field(default_factory=_token, repr=False)
    broker_secret: str = field(default_factory=_token, repr=False)
    exchange_admin_token: str = field(default_factory=_token, repr=False)


def load_or_create(home: Path) -> Secrets:
    """The secrets stored under `home`, generated on first use, as are those that a later version adds.

    Written to a private file and moved into place, so that no process ever reads half of it, and of two that start
    together both read what the first one wrote.
    """
    path = home / "secrets.json"
    try:
        home.mkdir(parents=True, exist_ok=True)
        names = {f.name for f in fields(Secrets)}
        if not path.exists() or not names <= json.loads(path.read_text()).keys():
            _complete(path)
        path.chmod(0o600)
        stored = json.loads(path.read_text())
        return Secrets(**{name: stored[name] for name in names})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"secrets file {path} cannot be used: {error}",
            "Make the folder writable, or restore the file from a backup",
        ) from error


def _complete(path: Path) -> None:
    """Generate what is missing; one process at a time."""
    with (path.parent / ".secrets.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stored = json.loads(path.read_text()) if path.exists() else {}
        draft = path.with_name(f".secrets.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps({**asdict(Secrets()), **stored}, indent=1))
        draft.replace(path)
