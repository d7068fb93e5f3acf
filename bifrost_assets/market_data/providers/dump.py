"""Reading a vendor's dump: its columns renamed and typed, only the wanted rows, and every bad value located."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from bifrost_core.errors import ProviderError, SettingsError

LINE = "__line__"
SYMBOL = "symbol"
RAW = "raw "
OPTIONAL = frozenset({"vendor_adj_close"})

Schema = Mapping[str, "pl.DataType | type[pl.DataType]"]


@dataclass(frozen=True, slots=True)
class Layout:
    """How one kind of file is written: our column names with theirs, and how its times are to be read.

    `at` is our column that says when (session or start_at); `setting` names the setting with the columns.
    """

    schema: Schema
    at: str
    theirs: Mapping[str, str]
    time_format: str
    time_zone: str
    setting: str

    @classmethod
    def of(
        cls, schema: Schema, columns: Sequence[tuple[str, str]], time_format: str, zone: str, setting: str
    ) -> Layout:
        """The layout whose columns the user mapped, theirs first; raises SettingsError for names that are not ours."""
        ours = (*schema, SYMBOL)
        if wrong := [name for _, name in columns if name not in ours]:
            raise SettingsError(
                f"setting {setting} maps a column to {wrong[0]!r}, which is none of {', '.join(ours)}",
                f"Correct BIFROST_{setting.upper()}, as in Date=session,Open=open",
            )
        return cls(
            schema,
            next(iter(schema)),
            {name: name for name in ours} | {b: a for a, b in columns},
            time_format,
            zone,
            setting,
        )


@dataclass(frozen=True, slots=True)
class Extract:
    """The wanted rows (LINE, symbol and the layout's schema) and the first day of each symbol (symbol, first).

    `bad` has a row (LINE, symbol, column, value) for every value of theirs that cannot be read.
    """

    rows: pl.DataFrame
    begins: pl.DataFrame
    bad: pl.DataFrame


def extract(table: pl.LazyFrame, layout: Layout, symbols: Sequence[str], first: date, last: date) -> Extract:
    """The rows of `symbols` from `first` to `last`, and those whose date cannot be read.

    `table` has LINE and the file's columns; the filters reach into its scan. Raises ProviderError for missing columns.
    """
    wanted = _typed(table, layout).filter(pl.col(SYMBOL).is_in(list(symbols)))
    day = pl.col(layout.at).dt.date()
    rows = wanted.filter(day.is_null() | day.is_between(first, last))
    begins = wanted.group_by(SYMBOL).agg(day.min().alias("first"))
    found, began = pl.collect_all([rows, begins], engine="streaming")
    raw = [name for name in found.columns if name.startswith(RAW)]
    return Extract(found.drop(raw).sort(LINE), began, _bad(found, raw))


def as_text(told: pl.DataFrame) -> str:
    """The first bad value of `told` and how many more there are, for a person."""
    line, column, value = told.sort(LINE).select(LINE, "column", "value").row(0)
    more = f" (and {told.height - 1} more)" if told.height > 1 else ""
    return f"line {line}, column {column}: {value!r} cannot be read{more}"


def _typed(table: pl.LazyFrame, layout: Layout) -> pl.LazyFrame:
    """Our columns; beside each a RAW one that has the text of a value that cannot be read."""
    types = table.collect_schema()
    wanted = [name for name in layout.schema if layout.theirs[name] in types or name not in OPTIONAL]
    if missing := [layout.theirs[name] for name in (*wanted, SYMBOL) if layout.theirs[name] not in types]:
        has = ", ".join(name for name in types if name != LINE)
        raise ProviderError(
            f"there is no column {', '.join(missing)}, only {has}",
            f"Name the columns with BIFROST_{layout.setting.upper()}, as in Date=session,Open=open",
        )
    symbol = pl.col(layout.theirs[SYMBOL]).cast(pl.String).str.strip_chars().str.to_uppercase().alias(SYMBOL)
    columns = [_read(name, types[layout.theirs[name]], layout).alias(name) for name in wanted]
    raw = [_unread(name, types[layout.theirs[name]], layout).alias(RAW + layout.theirs[name]) for name in wanted]
    absent = [pl.lit(None, dtype=layout.schema[name]).alias(name) for name in layout.schema if name not in wanted]
    is_blank = pl.all_horizontal(pl.col(layout.theirs[name]).is_null() for name in wanted)
    return table.filter(~is_blank).select(LINE, symbol, *columns, *absent, *raw)


def _read(name: str, theirs: pl.DataType, layout: Layout) -> pl.Expr:
    """One of our columns, null where their value makes no sense."""
    value = pl.col(layout.theirs[name])
    ours = layout.schema[name]
    if name != layout.at:
        return (value.str.strip_chars() if theirs == pl.String else value).cast(ours, strict=False)
    text = value.cast(pl.String).str.strip_chars()
    if ours == pl.Date:
        return value.dt.date() if theirs.is_temporal() else text.str.to_date(layout.time_format, strict=False)
    if not theirs.is_temporal():
        value = text.str.to_datetime(layout.time_format, time_unit="us", strict=False)
        theirs = pl.Datetime("us", "UTC" if "%z" in layout.time_format else None)
    if getattr(theirs, "time_zone", None) is None:
        value = value.dt.replace_time_zone(layout.time_zone, ambiguous="null", non_existent="null")
    return value.dt.convert_time_zone("UTC").cast(ours)


def _unread(name: str, theirs: pl.DataType, layout: Layout) -> pl.Expr:
    text = pl.col(layout.theirs[name]).cast(pl.String)
    return pl.when(_read(name, theirs, layout).is_null() & (text.str.strip_chars() != "")).then(text)


def _bad(found: pl.DataFrame, raw: Sequence[str]) -> pl.DataFrame:
    values = found.select(LINE, SYMBOL, *raw).unpivot(
        raw, index=[LINE, SYMBOL], variable_name="column", value_name="value"
    )
    return values.filter(pl.col("value").is_not_null()).with_columns(pl.col("column").str.strip_prefix(RAW))
