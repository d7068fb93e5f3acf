"""Generated secrets of one installation, in one file that only its owner can read."""

from __future__ import annotations

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
    """The secrets stored under `home`, generated on first use.

    Written to a private file and linked into place, so that of two processes that start together
    both read what the first one wrote.
    """
    path = home / "secrets.json"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _create(path)
        stored = json.loads(path.read_text())
        return Secrets(**{f.name: stored[f.name] for f in fields(Secrets)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"secrets file {path} cannot be used: {error}",
            "Make the folder writable, or restore the file from a backup",
        ) from error


def _create(path: Path) -> None:
    draft = path.with_name(f".secrets.{os.getpid()}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(fd, "w") as file:
            json.dump(asdict(Secrets()), file, indent=1)
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first; its secrets are the ones in force
    finally:
        draft.unlink()
