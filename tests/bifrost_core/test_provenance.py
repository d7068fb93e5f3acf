from __future__ import annotations

import json
import subprocess
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given

from bifrost_core import provenance
from bifrost_core.provenance import canonical_json, code_version, content_hash, frame_version, sha256

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.dates()
)
NAIVE = datetime(2013, 3, 1)  # noqa: DTZ001 - what is refused
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


@given(st.dictionaries(st.text(), VALUES), st.randoms())
def test_order_of_keys_does_not_matter(value: dict[str, Any], random: Any) -> None:
    """The daemon computes a batch's hash from rows read back: the same content in another order is the same batch."""
    keys = list(value)
    random.shuffle(keys)
    assert canonical_json({key: value[key] for key in keys}) == canonical_json(value)


@given(VALUES, VALUES)
def test_equal_hashes_mean_equal_content(one: Any, other: Any) -> None:
    """A hash that ignores a part of its content lets a tampered batch through."""
    same = canonical_json(one) == canonical_json(other)
    assert (content_hash(one) == content_hash(other)) == same
    if same:
        assert json.loads(canonical_json(one)) == json.loads(canonical_json(other))


@pytest.mark.parametrize(("one", "other"), [("1.50", "1.5"), ("100", "1E+2"), ("0", "-0.0"), ("0.10000000", "0.1")])
def test_decimals_are_numbers_not_spellings(one: str, other: str) -> None:
    """numeric(12, 8) comes back with trailing zeros that the pipeline never wrote."""
    assert canonical_json(Decimal(one)) == canonical_json(Decimal(other))


def test_an_instant_is_an_instant_in_any_zone() -> None:
    """A client in another zone reads valid_from back with another offset."""
    moment = datetime(2013, 3, 1, 21, tzinfo=UTC)
    assert canonical_json(moment.astimezone(ZoneInfo("America/New_York"))) == canonical_json(moment)


def test_close_decimals_differ() -> None:
    """The last digit of a weight is part of the contract."""
    assert content_hash(Decimal("0.10000000")) != content_hash(Decimal("0.10000001"))
    long = "1234567890123456789012345678901234.5"
    assert content_hash(Decimal(long)) != content_hash(Decimal(long[:-1] + "6"))


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), object(), b"bytes", {"a": {1, 2}}, Decimal("NaN"), NAIVE]
)
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    """A NaN weight must not get a valid hash."""
    with pytest.raises((ValueError, TypeError)):
        canonical_json(value)


def test_known_hash() -> None:
    """Stored hashes outlive this code: the form may never change."""
    value = {"b": [Decimal("1.10"), date(2013, 3, 1)], "a": datetime(2013, 3, 1, 21, tzinfo=UTC)}
    assert canonical_json(value) == b'{"a":"2013-03-01T21:00:00+00:00","b":["1.1","2013-03-01"]}'
    assert sha256(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


FRAMES = st.lists(
    st.tuples(st.none() | st.integers(-5, 5), st.none() | st.text(max_size=3), st.none() | st.floats(-1, 1))
)


def frame_of(rows: list[Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"n": pl.Int64, "t": pl.String, "x": pl.Float64}, orient="row")


@given(FRAMES, FRAMES)
def test_frame_version_tells_frames_apart(one: list[Any], other: list[Any]) -> None:
    """The data version of features says whether anything has to be computed again."""
    equal = frame_of(one).equals(frame_of(other))
    if equal:
        equal = [list(map(repr, row)) for row in one] == [list(map(repr, row)) for row in other]  # 0.0 is not -0.0
    assert (frame_version(frame_of(one)) == frame_version(frame_of(other))) == equal


def test_frame_version_sees_null_type_name_and_order() -> None:
    """Null is not zero, and a column under another name is another column."""
    base = pl.DataFrame({"a": [0, 1], "b": [2, 3]})
    others = [
        pl.DataFrame({"a": [None, 1], "b": [2, 3]}),
        pl.DataFrame({"a": [0.0, 1.0], "b": [2, 3]}),
        base.rename({"a": "c"}),
        base.select("b", "a"),
        base.reverse(),
        base.head(1),
        base.clear(),
    ]
    versions = [frame_version(frame) for frame in (base, *others)]
    assert len(set(versions)) == len(versions)
    chunked = pl.concat([base.head(1), base.tail(1)], rechunk=False)
    assert frame_version(chunked) == versions[0]


def test_frame_version_of_every_kind_of_column() -> None:
    """A kind that is hashed by its address gives another version in every process."""
    frame = pl.DataFrame(
        {
            "money": pl.Series([Decimal("1.10"), None], dtype=pl.Decimal(10, 2)),
            "at": [datetime(2013, 3, 1, tzinfo=UTC), None],
            "day": [date(2013, 3, 1), None],
            "flag": [True, None],
            "kind": pl.Series(["x", None], dtype=pl.Categorical),
            "list": [[1, 2], None],
        }
    )
    copy = pl.DataFrame(frame.to_dict(as_series=False), schema=frame.schema)
    assert frame_version(frame) == frame_version(copy)
    for name in frame.columns:
        assert frame_version(frame.with_columns(pl.lit(None, frame.schema[name]).alias(name))) != frame_version(frame)


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bifrost_core").mkdir()
    (tmp_path / "bifrost_core" / "provenance.py").write_text("")
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "bifrost_core" / "provenance.py"))
    return tmp_path


def test_code_version_of_a_checkout(checkout: Path) -> None:
    """A row made by changed code must not claim to be the commit's."""
    git(checkout, "init", "-q")
    assert code_version.__wrapped__().startswith(provenance.version("bifrost-trader") + "+")  # no commit yet
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "x")
    clean = code_version.__wrapped__()
    assert len(clean) == 12
    source = checkout / "bifrost_core" / "strategy.py"
    source.parent.mkdir(exist_ok=True)
    source.write_text("new")
    dirty = code_version.__wrapped__()
    assert dirty.startswith(clean + "+dirty.")
    source.write_text("newer")
    assert code_version.__wrapped__() not in {clean, dirty}


def test_code_version_without_git(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image without git, or with a .git it may not read, still has to run."""
    (checkout / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert code_version.__wrapped__().startswith(provenance.version("bifrost-trader") + "+")
    monkeypatch.setenv("BIFROST_CODE_VERSION", "image-7")
    assert code_version.__wrapped__() == "image-7"
