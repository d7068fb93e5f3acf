"""A thin client of Alpaca's REST APIs: polite, patient, and page by page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from bifrost_assets.market_data.providers.politeness import TRANSIENT_STATUS, PoliteCaller, TryAgain, seconds_asked
from bifrost_assets.market_data.providers.spool import Answer, Spool
from bifrost_core.errors import ProviderError, SettingsError

if TYPE_CHECKING:
    import httpx

    from bifrost_core.settings import Settings

PAGE_MAX = 10_000
REMEDY = {
    401: "Correct BIFROST_ALPACA_KEY_ID and BIFROST_ALPACA_SECRET_KEY",
    403: "Correct BIFROST_ALPACA_KEY_ID and BIFROST_ALPACA_SECRET_KEY, or BIFROST_ALPACA_FEED to what you subscribe to",
}


class Refused(ProviderError):
    """Alpaca understood the request and will not answer it: another try would be refused as well."""

    def __init__(self, status: int, message: str) -> None:
        remedy = REMEDY.get(status, "Correct the request: symbols, sessions and BIFROST_ALPACA_FEED")
        super().__init__(f"Alpaca answered {status} ({message})", remedy)
        self.status = status
        self.message = message

    @property
    def invalid_symbol(self) -> str | None:
        """The symbol because of which Alpaca refused a request for many."""
        name, _, symbol = self.message.partition("invalid symbol: ")
        return symbol.strip() or None if name == "" else None


class AlpacaClient:
    """Asks Alpaca with the keys of the settings; raises SettingsError where there are none."""

    def __init__(self, settings: Settings) -> None:
        import httpx

        if not (settings.alpaca_key_id and settings.alpaca_secret_key):
            raise SettingsError(
                "provider 'alpaca' needs the keys of an Alpaca account",
                "Set BIFROST_ALPACA_KEY_ID and BIFROST_ALPACA_SECRET_KEY, or use another BIFROST_PROVIDER",
            )
        self.spool = Spool(settings.home / "spool" / "alpaca")
        servers = (settings.alpaca_data_url, settings.alpaca_assets_url)
        self._callers = {one: PoliteCaller(settings, one, settings.alpaca_requests_per_second) for one in servers}
        self._data_url = settings.alpaca_data_url
        self._http = httpx.Client(
            timeout=httpx.Timeout(settings.provider_timeout_seconds),
            headers={
                "APCA-API-KEY-ID": settings.alpaca_key_id.get_secret_value(),
                "APCA-API-SECRET-KEY": settings.alpaca_secret_key.get_secret_value(),
            },
        )

    def get(self, server: str, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """The answer of one of the two servers of the settings; raises Refused or ProviderDown."""
        request = f"{server}{path}?{urlencode(query or {})}"
        if kept := self.spool.get(request):
            return kept
        answer = self._callers[server].call(lambda: _judged(self._http, request))
        self.spool.put(request, answer)
        return answer

    def pages(self, path: str, query: Mapping[str, str]) -> Iterator[Answer]:
        """Every page of a listing of the data API, in order."""
        token: str | None = ""
        while token is not None:
            page = self.get(self._data_url, path, {**query, **({"page_token": token} if token else {})})
            yield page
            token = json.loads(page.body).get("next_page_token") or None


def _judged(http: httpx.Client, request: str) -> Answer:
    import httpx

    try:
        response = http.get(request)
    except httpx.TransportError as error:
        raise TryAgain(f"does not answer ({error or type(error).__name__})") from error
    if response.status_code in TRANSIENT_STATUS:
        raise TryAgain(f"answered {response.status_code}", seconds_asked(response.headers))
    kind = response.headers.get("content-type", "")
    if response.status_code >= 400:
        raise Refused(response.status_code, _message(response.content))
    try:
        if not isinstance(json.loads(response.content), dict):
            raise ValueError("no object")
    except ValueError as error:
        raise TryAgain(f"sent {kind or 'nothing'} that cannot be read ({error})") from error
    return Answer(kind, response.content)


def _message(body: bytes) -> str:
    """Why Alpaca refuses, or the beginning of what it sent instead of a reason."""
    try:
        told: Any = json.loads(body)
        return str(told["message"])
    except (ValueError, KeyError, TypeError):
        return body[:100].decode(errors="replace")
