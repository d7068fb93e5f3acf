"""Daily and one-minute bars from Parquet files of any vendor. The settings `source_*` describe them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import polars as pl

from bifrost_assets.market_data.providers.dump import LINE
from bifrost_assets.market_data.providers.folder import FolderProvider, folder_provider
from bifrost_core.settings import Settings


def parquet_provider(settings: Settings) -> FolderProvider:
    """The provider; errors count rows from 1."""

    def scan(source: Path | bytes) -> pl.LazyFrame:
        file = BytesIO(source) if isinstance(source, bytes) else source
        return pl.scan_parquet(file, row_index_name=LINE, row_index_offset=1)

    return folder_provider(settings, "parquet", "application/vnd.apache.parquet", scan)


PROVIDER = parquet_provider
