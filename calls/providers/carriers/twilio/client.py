"""Twilio's own SDK over httpx: its asynchronous client without a second HTTP library.

The SDK's default has neither a time limit nor connection re-use between event loops.
"""

from __future__ import annotations

import logging
from typing import Any

import httpx
from twilio.base.exceptions import TwilioRestException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from agents.brain.errors import (
    BadRequest,
    NetworkFailure,
    ProviderError,
    ProviderTimeout,
)
from calls.providers.carriers.port import LegGone
from calls.providers.carriers.twilio.credentials import TwilioCredentials
from calls.providers.http_errors import error_of_status
from calls.providers.tls import shared_tls

NAME = "twilio"
SECONDS = 8.0
CONNECT_SECONDS = 3.0

# Twilio's numbers for "that call is over" (twilio.md, 7): not found, and not in progress.
_GONE = frozenset({20404, 21220})


class HttpxClient(AsyncHttpClient):
    """Carries the SDK's requests. Raises ProviderTimeout and NetworkFailure."""

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        super().__init__(logging.getLogger(__name__), True, SECONDS)
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(SECONDS, connect=CONNECT_SECONDS),
            verify=shared_tls(),
            transport=transport,
        )

    async def request(  # type: ignore[override]
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the SDK's signature
        allow_redirects: bool = False,
    ) -> Response:
        """One request of the SDK's."""
        try:
            answer = await self._http.request(
                method.upper(),
                uri,
                params=_plain(params),
                data=_plain(data),
                headers=headers,
                auth=auth,
                timeout=timeout or httpx.USE_CLIENT_DEFAULT,
                follow_redirects=allow_redirects,
            )
        except httpx.TimeoutException as error:
            raise ProviderTimeout(NAME, f"no answer: {type(error).__name__}") from None
        except httpx.HTTPError as error:
            raise NetworkFailure(NAME, f"{type(error).__name__}: {error}") from None
        return Response(answer.status_code, answer.text, dict(answer.headers))

    def stream(self, url: str, auth: tuple[str, str]) -> Any:
        """A download, as httpx's `stream` context; recordings redirect to a store."""
        return self._http.stream("GET", url, auth=auth, follow_redirects=True)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def client_for(credentials: TwilioCredentials, http: HttpxClient) -> Client:
    """The SDK's client for this account."""
    username, password = credentials.user_and_password
    client = Client(
        username,
        password,
        credentials.account_sid,
        region=credentials.region or None,
        edge=credentials.edge or None,
        http_client=http,
    )
    if credentials.base_url:
        client.api.base_url = credentials.base_url
    return client


def error_of(error: TwilioRestException) -> ProviderError:
    """The SDK's one exception as the cause that it stands for."""
    if error.code in _GONE:
        return LegGone(NAME, f"{error.code} {error.msg}")
    if error.status == 404:
        return BadRequest(NAME, f"not found: {error.msg}")
    said = error_of_status(NAME, error.status)
    return type(said)(NAME, f"{error.code or error.status} {error.msg}")


def _plain(values: dict[str, object] | None) -> dict[str, Any] | None:
    """Form fields as Twilio wants them: `true`, and a list as the field repeated."""
    if values is None:
        return None
    return {name: _field(value) for name, value in values.items()}


def _field(value: object) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return value
