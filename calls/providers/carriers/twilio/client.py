"""Requests to Twilio's REST API, on connections that are kept, repeated only where that is safe.

Straight httpx and not Twilio's SDK, whose client is synchronous, takes a second to import with
its thousand generated modules, and has neither a time limit nor retries by itself (twilio.md, 1).
The tests let the SDK prove the stand-in that proves this, and the fields of each request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import httpx
import orjson

from agents.brain.errors import (
    BadKey,
    BadRequest,
    NetworkFailure,
    ProviderDown,
    ProviderError,
    ProviderTimeout,
    QuotaExceeded,
)
from calls.providers.carriers.asking import ask, content_of
from calls.providers.carriers.port import LegGone, NotReached
from calls.providers.carriers.twilio.credentials import TwilioCredentials
from calls.providers.http_errors import error_of_status
from calls.providers.tls import shared_tls

NAME = "twilio"
API_VERSION = "2010-04-01"
CALL_NOT_IN_PROGRESS = 21220  # twilio.md, 7
_KEEP_ALIVE = 120.0  # s; a call's commands are further apart than httpx keeps connections
_CONNECT_SECONDS = 3.0
_UNCERTAIN = (ProviderDown, ProviderTimeout, NetworkFailure)

Form: TypeAlias = Mapping[str, str | Sequence[str]]


class NotFound(BadRequest):
    """There is nothing by this id (20404)."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait, in seconds, and how often to try.

    `pause` doubles from try to try; `limit` bounds one request, and `patience` all its tries.
    """

    pause: float = 0.2
    limit: float = 8.0
    patience: float = 12.0
    attempts: int = 3


class TwilioClient:
    """One account's connections. All errors are ProviderErrors."""

    def __init__(
        self, credentials: TwilioCredentials, base_url: str = "", pace: Pace | None = None
    ) -> None:
        self._pace = pace or Pace()
        self._base = (base_url or credentials.base_url).rstrip("/")
        self.root = f"{self._base}/{API_VERSION}/Accounts/{credentials.account_sid}"
        self._credentials = credentials
        self._auth = httpx.BasicAuth(*credentials.user_and_password)
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(self._pace.limit, connect=_CONNECT_SECONDS),
            limits=httpx.Limits(keepalive_expiry=_KEEP_ALIVE),
            verify=shared_tls(),
        )

    async def get(self, path: str = "", query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON at `path` under the account; the account itself without one."""
        return await self._insist("GET", path, repeatable=True, params=dict(query or {}))

    async def takes_token(self) -> bool:
        """Whether the auth token is the account's: it signs webhooks, whoever sends requests."""
        sid, token = self._credentials.account_sid, self._credentials.auth_token
        auth = httpx.BasicAuth(sid, token.get_secret_value())
        try:
            await self._insist("GET", "", repeatable=True, auth=auth)
        except BadKey:
            return False
        return True

    async def post(self, path: str, form: Form, *, repeatable: bool = False) -> dict[str, Any]:
        """Send a form. Only one that does the same done twice may be called `repeatable`.

        Any other is sent again only if Twilio has certainly not done it: when there was no
        connection, or when it asked us to come more slowly.
        """
        return await self._insist("POST", path, repeatable=repeatable, data=dict(form))

    @asynccontextmanager
    async def download(self, url: str) -> AsyncGenerator[httpx.Response, None]:
        """A file's bytes. Only Twilio itself is shown who we are; its stores are not."""
        try:
            ours = urlsplit(url)[:2] == urlsplit(self._base)[:2]
            auth = self._auth if ours else None
            async with self._http.stream("GET", url, auth=auth, follow_redirects=True) as answer:
                if not answer.is_success:
                    raise _refusal(answer.status_code, await answer.aread(), answer.headers)
                yield answer
        except httpx.TimeoutException:
            raise ProviderTimeout(NAME, "the file stopped coming") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise NetworkFailure(NAME, f"the file broke off: {error}"[:300]) from None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _insist(
        self, method: str, path: str, *, repeatable: bool, **request: Any
    ) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._pace.patience):
                for attempt in range(1, self._pace.attempts):
                    try:
                        return await self._send(method, path, request)
                    except (NotReached, QuotaExceeded) as error:
                        await self._rest(attempt, error)
                    except _UNCERTAIN as error:
                        if not repeatable:
                            raise
                        await self._rest(attempt, error)
                return await self._send(method, path, request)
        except TimeoutError:
            raise ProviderTimeout(NAME, f"no answer in {self._pace.patience:g} s") from None

    async def _rest(self, attempt: int, error: ProviderError) -> None:
        asked = error.retry_after if isinstance(error, QuotaExceeded) else None
        if asked is not None and asked > self._pace.limit:
            raise error
        await asyncio.sleep(self._pace.pause * 2 ** (attempt - 1) if asked is None else asked)

    async def _send(self, method: str, path: str, request: Mapping[str, Any]) -> dict[str, Any]:
        url = f"{self.root}{'/' if path else ''}{path}.json"
        answer = await ask(NAME, self._http, method, url, **{"auth": self._auth, **request})
        if answer.is_success:
            return content_of(NAME, answer)
        raise _refusal(answer.status_code, answer.content, answer.headers)


def _refusal(status: int, body: bytes, headers: Mapping[str, str]) -> ProviderError:
    """What an answer that is no success means, in Twilio's own words (twilio.md, 1 and 10)."""
    code, said = _error_in(body)
    message = f"{code} {said}".strip() if code else said or body.decode(errors="replace")
    if code == CALL_NOT_IN_PROGRESS:
        return LegGone(NAME, message)
    if status == httpx.codes.NOT_FOUND:
        return NotFound(NAME, message[:300] or "not found")
    return error_of_status(NAME, status, message, headers.get("Retry-After"))


def _error_in(body: bytes) -> tuple[int, str]:
    """The code in an error's body, and what it says; 0 and nothing where there is none."""
    try:
        content = orjson.loads(body)
        return int(content["code"]), str(content.get("message") or "")
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        return 0, ""
