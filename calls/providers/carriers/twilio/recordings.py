"""Recordings at Twilio: a file under the account, a moment after it was told to be ready."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from urllib.parse import quote

from calls.providers.carriers.twilio.client import NotFound, TwilioClient

_PIECE = 64 * 1024
# The file may come a little later than the news of it (twilio.md, 8: 404 until ready).
_WAITS = (0.5, 1.0, 2.0)


class Recordings:
    """Fetches recordings, each side on its own channel."""

    def __init__(self, client: TwilioClient, waits: tuple[float, ...] = _WAITS) -> None:
        self._client, self._waits = client, waits

    async def read(self, recording_id: str) -> AsyncGenerator[bytes, None]:
        """The bytes of a recording as WAV. Raises NotFound where there is none.

        Its address follows from its id. The one in the callback is the same, or was put there by
        somebody who owns the account and would have us fetch something else.
        """
        address = f"{self._client.root}/Recordings/{quote(recording_id, safe='')}"
        for wait in self._waits:
            try:
                async for piece in self._pieces(address):
                    yield piece
                return
            except NotFound:  # raised before the first piece, never after it
                await asyncio.sleep(wait)
        async for piece in self._pieces(address):
            yield piece

    async def _pieces(self, address: str) -> AsyncGenerator[bytes, None]:
        async with self._client.download(f"{address}.wav?RequestedChannels=2") as answer:
            async for piece in answer.aiter_bytes(_PIECE):
                yield piece
