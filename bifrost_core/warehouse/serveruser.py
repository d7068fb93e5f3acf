"""As whom the embedded server runs: as ourselves, except that PostgreSQL refuses to run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bifrost_core.errors import WarehouseError

SYSTEM_USER = "pgserver"


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The system user that owns the cluster; `is_self` where it is the one running this process."""

    name: str
    uid: int
    gid: int
    is_self: bool

    def as_process(self) -> dict[str, Any]:
        """Keyword arguments that make subprocess run a command as this user."""
        return {} if self.is_self else {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give one file or folder to this user."""
        if not self.is_self:
            os.chown(path, self.uid, self.gid)

    def let_through(self, folder: Path) -> None:
        """Let this user traverse (not list) `folder` and those above it, where root had closed them."""
        if self.is_self:
            return
        for step in (folder, *folder.parents):
            mode = step.stat().st_mode
            if not mode & 0o001 and step.stat().st_uid != self.uid:
                step.chmod(mode | 0o001)

    def let_read(self, tree: Path) -> None:
        """Let this user read and run what lies in `tree`, where a strict umask had closed it at install time."""
        if self.is_self:
            return
        for path in (tree, *tree.rglob("*")):
            mode = path.stat().st_mode
            wanted = mode | 0o004 | (0o001 if mode & 0o100 else 0)
            if wanted != mode:
                path.chmod(wanted)


def server_user(data: Path) -> ServerUser:
    """Who runs the cluster in `data`.

    For root that is the folder's owner, or the system user `pgserver`, made if needed. Raises WarehouseError where the
    folder belongs to someone else, or the user cannot be made.
    """
    uid = os.getuid()
    owner = data.stat().st_uid if data.exists() else None
    if uid != 0:
        if owner not in (None, uid):
            raise WarehouseError(
                f"{data} belongs to user {_name(owner)}, and this is user {_name(uid)}",
                f"Run as {_name(owner)}, or set BIFROST_HOME to a folder of your own",
            )
        return ServerUser(_name(uid), uid, os.getgid(), is_self=True)
    entry = pwd.getpwuid(owner) if owner else _system_user()
    return ServerUser(entry.pw_name, entry.pw_uid, entry.pw_gid, is_self=False)


def _name(uid: int | None) -> str:
    try:
        return pwd.getpwuid(uid).pw_name if uid is not None else "nobody"
    except KeyError:
        return str(uid)


def _system_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        _make_system_user()
    return pwd.getpwnam(SYSTEM_USER)


def _make_system_user() -> None:
    commands = (
        ["useradd", "--system", "--no-create-home", "--user-group", "--shell", "/bin/sh", SYSTEM_USER],
        ["adduser", "-S", "-D", "-H", SYSTEM_USER],  # busybox
    )
    why = "neither useradd nor adduser is installed"
    for command in commands:
        if shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode == 0 or SYSTEM_USER in {entry.pw_name for entry in pwd.getpwall()}:
                return
            why = " ".join(done.stderr.split())
    raise WarehouseError(
        f"PostgreSQL refuses to run as root, and user {SYSTEM_USER} cannot be made: {why}",
        f"Run as another user, make {SYSTEM_USER} yourself, or set BIFROST_DATABASE_URL",
    )
