"""Which failures are worth another try: the network's and the database's, never a wrong setting or a bug."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import psycopg

from bifrost_assets.market_data.providers.base import ProviderDown
from bifrost_core.errors import BifrostError

PROVIDER_RETRIES = dg.RetryPolicy(max_retries=3, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


@contextmanager
def retrying_only_transient() -> Iterator[None]:
    """Let the asset's retry policy see transient errors; anything else is a Failure that is not tried again."""
    try:
        yield
    except (ProviderDown, psycopg.OperationalError):
        raise
    except BifrostError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    except Exception as error:
        raise dg.Failure(f"{type(error).__name__}: {error}", allow_retries=False) from error
