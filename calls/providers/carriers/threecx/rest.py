"""HTTP with one PBX: the bearer token, its renewal after a 401, and errors by their cause."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping
from typing import Any

import httpx
import orjson

from agents.brain.errors import (
    BadKey,
    BadRequest,
    NetworkFailure,
    ProviderDown,
    ProviderError,
    ProviderTimeout,
)
from calls.providers.bounded import Bounded
from calls.providers.carriers.bearer import Token, TokenStore
from calls.providers.carriers.port import LegGone
from calls.providers.carriers.threecx.credentials import ThreeCxCredentials
from calls.providers.carriers.threecx.token import Tokens
from calls.providers.http_errors import error_of_status
from calls.providers.tls import shared_tls

NAME = "3cx"
TIMEOUT_SECONDS = 10.0
MOST_BYTES = 4 * 1024 * 1024  # thousands of DNs with their devices

Json = Mapping[str, Any]


class NotPermitted(BadKey):
    """403: the client lacks the licence or the tick, or the connection is not its own."""


class NotThere(BadRequest):
    """404: there is no such DN, device or participant (any more)."""


class TlsFailure(NetworkFailure):
    """The PBX's certificate is not one to trust."""


class ThreeCxRest:
    """One PBX's REST interface.

    `store` has to be the one of all processes that work with this client: one that mints for
    itself, if only to check the connection, ends the calls of the others. The one process that
    fetches the calls' sound `carries`.
    """

    def __init__(
        self, credentials: ThreeCxCredentials, store: TokenStore, *, carries: bool = False
    ) -> None:
        self.credentials = credentials
        self.tokens = Tokens(_identity(credentials), self._mint, store, carries=carries)
        # Sound has connections of its own: see wire.py.
        self._client = httpx.AsyncClient(
            base_url=credentials.base_url,
            transport=Bounded(MOST_BYTES, verify=shared_tls()),
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )

    async def get(self, path: str) -> Any:
        """The JSON at a path."""
        return await self._call("GET", path, None, TIMEOUT_SECONDS)

    async def post(self, path: str, body: Json, seconds: float = TIMEOUT_SECONDS) -> Any:
        """Post JSON; an empty object is sent too, for the PBX insists on a body."""
        return await self._call("POST", path, body, seconds)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _call(self, method: str, path: str, body: Json | None, seconds: float) -> Any:
        token = await self.tokens.current()
        response = await self._send(method, path, body, token, seconds)
        if response.status_code == 401:
            token = await self.tokens.after_refusal(token)
            response = await self._send(method, path, body, token, seconds)
        return _content(response)

    async def _send(
        self, method: str, path: str, body: Json | None, token: Token, seconds: float
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token.text}"}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = orjson.dumps(body)
        return await self._request(method, path, seconds, headers=headers, content=content)

    async def _request(
        self, method: str, path: str, seconds: float, **parts: Any
    ) -> httpx.Response:
        if self._client.is_closed:
            raise NetworkFailure(NAME, f"{method} {path} came after the connections were closed")
        try:
            return await self._client.request(method, path, timeout=seconds, **parts)
        except httpx.TimeoutException as error:
            raise ProviderTimeout(NAME, f"no answer to {method} {path} ({_word(error)})") from None
        except httpx.TransportError as error:
            raise _network_error(self.credentials.host, error) from None

    async def _mint(self) -> str:
        form = {
            "client_id": self.credentials.client_id,
            "client_secret": self.credentials.client_secret.get_secret_value(),
            "grant_type": "client_credentials",
        }
        response = await self._request("POST", "/connect/token", TIMEOUT_SECONDS, data=form)
        if response.status_code in (400, 401):
            raise BadKey(NAME, "the PBX refuses this client id and API key")
        content = _content(response)
        token = content.get("access_token") if isinstance(content, dict) else None
        if not isinstance(token, str) or not token:
            raise ProviderDown(NAME, "the PBX answered a request for a token with none")
        return token


def _identity(credentials: ThreeCxCredentials) -> str:
    """One client with one key: a token that another key got proves nothing about this one."""
    secret = credentials.client_secret.get_secret_value()
    digest = hashlib.sha256(secret.encode()).hexdigest()[:16]
    return f"{credentials.base_url} {credentials.client_id} {digest}"


def error_of(status: int, body: str = "", retry_after: str | None = None) -> ProviderError:
    """What an HTTP status of this API means (threecx.md, 3)."""
    error = error_of_status(NAME, status, body, retry_after)
    kind = {403: NotPermitted, 404: NotThere, 424: ProviderDown}.get(status)
    return error if kind is None else kind(NAME, error.message)


def leg_gone(leg: str) -> LegGone:
    """Nobody is on that line any more."""
    return LegGone(NAME, f"the connection {leg} is over")


def _content(response: httpx.Response) -> Any:
    if not response.is_success:
        retry_after = response.headers.get("Retry-After")
        raise error_of(response.status_code, response.text, retry_after)
    if not response.content:
        return {}
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError:
        raise ProviderDown(NAME, f"no JSON from {response.url.path}: is this a 3CX?") from None


def _network_error(host: str, error: httpx.TransportError) -> NetworkFailure:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            reason = getattr(cause, "verify_message", "") or cause.reason or "no TLS"
            return TlsFailure(NAME, f"the certificate of {host} is not accepted: {reason}")
        cause = cause.__cause__ or cause.__context__
    return NetworkFailure(NAME, f"{host} cannot be reached ({_word(error)})")


def _word(error: Exception) -> str:
    return str(error) or type(error).__name__
