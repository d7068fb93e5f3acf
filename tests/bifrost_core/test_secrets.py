from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from bifrost_core.errors import SettingsError
from bifrost_core.secrets import Secrets, load_or_create


def test_made_once_and_private(tmp_path: Path) -> None:
    """A second reader that gets other secrets is locked out; a readable file is everybody's account."""
    secrets = load_or_create(tmp_path / "home")
    path = tmp_path / "home" / "secrets.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_create(tmp_path / "home") == secrets
    assert len(set(asdict(secrets).values())) == len(asdict(secrets))
    assert min(map(len, asdict(secrets).values())) >= 32
    assert [p.name for p in path.parent.iterdir() if p.name not in {"secrets.json", ".secrets.lock"}] == []


def test_opened_file_is_closed_again(tmp_path: Path) -> None:
    """A copy restored from a backup often comes back readable."""
    load_or_create(tmp_path)
    (tmp_path / "secrets.json").chmod(0o644)
    load_or_create(tmp_path)
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_secrets_are_not_printed() -> None:
    """A dataclass that prints its fields puts them into the first traceback."""
    secrets = Secrets()
    assert all(value not in repr(secrets) + str(secrets) for value in asdict(secrets).values())


def test_secret_of_a_later_version_is_added(tmp_path: Path) -> None:
    """An upgrade that needs a new secret must keep the old ones, or the warehouse locks its owner out."""
    old = asdict(load_or_create(tmp_path))
    del old["daemon_token"]
    (tmp_path / "secrets.json").write_text(json.dumps(old))
    new = asdict(load_or_create(tmp_path))
    assert {name: new[name] for name in old} == old
    assert new["daemon_token"]


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    """Exchange and daemon start at once on a fresh home: each must know the other's token."""
    script = (
        "import sys; from pathlib import Path; from bifrost_core.secrets import load_or_create;"
        " print(load_or_create(Path(sys.argv[1])).daemon_token)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    assert len({child.communicate()[0] for child in children}) == 1


@pytest.mark.parametrize("content", ["", "[]", "not json", '"text"'])
def test_damaged_file_is_kept_and_named(tmp_path: Path, content: str) -> None:
    """Generating new secrets over a damaged file would lock everyone out of the old data."""
    (tmp_path / "secrets.json").write_text(content)
    with pytest.raises(SettingsError, match=r"secrets\.json cannot be used"):
        load_or_create(tmp_path)
    assert (tmp_path / "secrets.json").read_text() == content


def test_home_that_cannot_be_made(tmp_path: Path) -> None:
    """A read-only or misspelt home is named in one line."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="Make the folder writable"):
        load_or_create(tmp_path / "file" / "home")
