"""Recordings at Telnyx: an address lives ten minutes, then a new one has to be asked for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx

from agents.brain.errors import BadRequest, NetworkFailure, ProviderError, ProviderTimeout
from calls.providers.carriers.downloads import PIECE, media_of
from calls.providers.carriers.port import Media
from calls.providers.carriers.telnyx.client import NAME, TelnyxClient
from calls.providers.http_errors import error_of_status
from calls.providers.public_only import PublicOnly
from calls.providers.tls import shared_tls

LEG_PREFIX = "leg:"  # `call.recording.saved` tells no recording's id, only the call leg's
_SECONDS = 30.0


class Recordings:
    """Fetches recordings. Their store is not Telnyx's API and must not see its key."""

    def __init__(self, client: TelnyxClient, *, anywhere: bool = False) -> None:
        """Addresses come with webhooks, which whoever owns the account may have signed.

        They lead into the public Internet alone, unless they may lead `anywhere`.
        """
        self._client = client
        self._store = httpx.AsyncClient(
            timeout=_SECONDS,
            verify=shared_tls(),
            follow_redirects=True,
            transport=None if anywhere else PublicOnly(verify=shared_tls()),
        )

    async def read(self, recording_id: str, url: str) -> AsyncGenerator[bytes, None]:
        """The bytes of a recording, from `url`, or from a new one if that is empty or expired."""
        with _told_as("the recording"):
            async with self._opened(recording_id, url) as answer:
                async for piece in answer.aiter_bytes(PIECE):
                    yield piece

    @asynccontextmanager
    async def media(self, url: str) -> AsyncGenerator[Media, None]:
        """A file of a message."""
        with _told_as("the file"):
            async with self._store.stream("GET", url) as answer:
                if not answer.is_success:
                    raise error_of_status(NAME, answer.status_code)
                yield media_of(answer)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._store.aclose()

    @asynccontextmanager
    async def _opened(self, recording_id: str, url: str) -> AsyncGenerator[httpx.Response, None]:
        if url:
            async with self._store.stream("GET", url) as answer:
                if answer.is_success:
                    yield answer
                    return
                if answer.is_server_error:
                    raise error_of_status(NAME, answer.status_code)
        async with self._store.stream("GET", await self._address(recording_id)) as answer:
            if not answer.is_success:
                raise error_of_status(NAME, answer.status_code)
            yield answer

    async def _address(self, recording_id: str) -> str:
        """A fresh address, through the Recordings API (telnyx.md, 6)."""
        if recording_id.startswith(LEG_PREFIX):
            leg = recording_id.removeprefix(LEG_PREFIX)
            found = await self._client.get("recordings", {"filter[call_leg_id]": leg})
        else:
            found = await self._client.get(f"recordings/{recording_id}")
        data = found.get("data")
        recording = data[0] if isinstance(data, list) and data else data
        return _download(recording, recording_id)


@contextmanager
def _told_as(what: str) -> Iterator[None]:
    """Errors of the store, in the words of all providers."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise ProviderTimeout(NAME, f"the store of {what} fell silent") from error
    except httpx.UnsupportedProtocol as error:
        raise BadRequest(NAME, f"the address of {what} is none: {error}"[:300]) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NetworkFailure(NAME, f"the store of {what}: {error}"[:300]) from error


def _download(recording: object, recording_id: str) -> str:
    if not isinstance(recording, Mapping):
        raise BadRequest(NAME, f"there is no recording {recording_id}")
    urls: Any = recording.get("download_urls")
    url = (urls.get("wav") or urls.get("mp3")) if isinstance(urls, Mapping) else None
    if not isinstance(url, str):
        raise ProviderError(NAME, f"the recording {recording_id} has no address")
    return url
