"""Requests to Telnyx's REST API, on connections that are kept, repeated where that is safe.

Straight httpx and not Telnyx's SDK, whose 3340 generated modules take 3 to 5 s to import, as much
again at the first command, and 70 MB in every process that carries media, for the dozen requests
that a call needs. Nor does the SDK repeat a command that is not answered within 500 ms, as
Telnyx's documentation advises. The tests let the SDK prove the stand-in that proves this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
from pydantic import SecretStr

from agents.brain.errors import NetworkFailure, ProviderDown, ProviderError, ProviderTimeout
from calls.providers.carriers.asking import ask, content_of
from calls.providers.carriers.port import LegGone
from calls.providers.http_errors import error_of_status
from calls.providers.tls import shared_tls

NAME = "telnyx"
BASE_URL = "https://api.telnyx.com/v2"
_CALL_ENDED = "90018"  # with HTTP 422 (telnyx.md, 1)
_KEEP_ALIVE = 120.0  # s; a call's commands are further apart than httpx keeps connections
_CONNECT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait, in seconds, and how often to try.

    A request without an answer within `patience` is sent again while the first goes on, and
    one that failed after `pause`; whichever is answered first counts. After `limit` it is over.
    """

    patience: float = 0.5
    pause: float = 0.1
    limit: float = 10.0
    attempts: int = 3


class TelnyxClient:
    """One account's connections. All errors are ProviderErrors, `LegGone` among them."""

    def __init__(self, key: SecretStr, base_url: str = BASE_URL, pace: Pace | None = None) -> None:
        self._pace = pace or Pace()
        self._http = httpx.AsyncClient(
            base_url=base_url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {key.get_secret_value()}"},
            timeout=httpx.Timeout(self._pace.limit, connect=_CONNECT_SECONDS),
            limits=httpx.Limits(keepalive_expiry=_KEEP_ALIVE),
            verify=shared_tls(),
        )

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON at `path`."""
        return await self._ask("GET", path, params=dict(query or {}))

    async def post(
        self,
        path: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
        *,
        repeatable: bool = True,
    ) -> dict[str, Any]:
        """Send `body`; gives the answer.

        Unless it carries what makes its repetition harmless it is not `repeatable`, and is sent
        once.
        """
        content = {"json": dict(body), "headers": dict(headers or {})}
        return await self._ask("POST", path, repeatable=repeatable, **content)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _ask(
        self, method: str, path: str, *, repeatable: bool = True, **request: Any
    ) -> dict[str, Any]:
        attempts = self._pace.attempts if repeatable else 1
        asked: set[asyncio.Task[dict[str, Any]]] = set()
        try:
            async with asyncio.timeout(self._pace.limit):
                return await self._first_answer(asked, attempts, method, path, request)
        except TimeoutError:
            raise ProviderTimeout(NAME, f"no answer within {self._pace.limit:g} s") from None
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def _first_answer(
        self,
        asked: set[asyncio.Task[dict[str, Any]]],
        attempts: int,
        method: str,
        path: str,
        request: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Send, and send again, until one is answered. Raises the last error, if all fail."""
        for attempt in range(1, attempts + 1):
            asked.add(asyncio.create_task(self._send(method, path, request)))
            more = attempt < attempts
            answer, error = await self._answer_in(asked, self._pace.patience if more else None)
            if answer is not None:
                return answer
            if error is not None and not more:
                raise error
            if error is not None:
                await asyncio.sleep(self._pace.pause * attempt)
        raise AssertionError("unreachable: the last attempt is waited for without limit")

    async def _answer_in(
        self, asked: set[asyncio.Task[dict[str, Any]]], patience: float | None
    ) -> tuple[dict[str, Any] | None, ProviderError | None]:
        """An answer, or the error that all requests ended with, or neither within `patience`."""
        error: ProviderError | None = None
        while asked:
            done, _ = await asyncio.wait(
                asked, timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                return None, None
            for task in done:
                asked.discard(task)
                try:
                    return task.result(), None
                except (ProviderDown, NetworkFailure, ProviderTimeout) as passing:
                    error = passing
        return None, error

    async def _send(self, method: str, path: str, request: Mapping[str, Any]) -> dict[str, Any]:
        answer = await ask(NAME, self._http, method, path, **request)
        if answer.is_success:
            return content_of(NAME, answer)
        raise _refusal(answer)


def _refusal(answer: httpx.Response) -> ProviderError:
    """What an answer that is no success means, in Telnyx's own words."""
    codes, said = _errors(answer.content)
    if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY and _CALL_ENDED in codes:
        return LegGone(NAME, said or "the call has ended")
    body = said or answer.text
    return error_of_status(NAME, answer.status_code, body, answer.headers.get("Retry-After"))


def _errors(content: bytes) -> tuple[set[str], str]:
    """The codes in an error's body, and what it says (telnyx.md, 1)."""
    try:
        errors = orjson.loads(content)["errors"]
        codes = {str(error.get("code")) for error in errors}
        parts = [[error.get(name) for name in ("code", "title", "detail")] for error in errors]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return set(), ""
    return codes, "; ".join(" ".join(str(part) for part in error if part) for error in parts)
