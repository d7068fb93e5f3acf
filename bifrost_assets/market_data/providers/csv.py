"""Daily and one-minute bars from CSV files of any vendor, compressed or not. The settings `source_*` describe them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from bifrost_assets.market_data.providers.dump import LINE
from bifrost_assets.market_data.providers.folder import FolderProvider, folder_provider
from bifrost_core.settings import Settings


def csv_provider(settings: Settings) -> FolderProvider:
    """The provider; the first line of a file names its columns."""

    def scan(source: Path | bytes) -> pl.LazyFrame:
        return pl.scan_csv(
            source,
            separator=settings.source_separator,
            infer_schema=False,
            row_index_name=LINE,
            row_index_offset=2,
        )

    return folder_provider(settings, "csv", "text/csv", scan)


PROVIDER = csv_provider
