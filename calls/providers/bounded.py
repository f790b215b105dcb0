"""Answers of bounded size, from servers that somebody else runs.

A client that reads an answer whole would read one without end until the process has no memory
left, and every call on it dies.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx


class TooLong(httpx.RemoteProtocolError):
    """An answer is larger than any that is documented."""


class Bounded(httpx.AsyncHTTPTransport):
    """Raises TooLong for answers of more than `most` bytes. What comes packed stays packed."""

    def __init__(self, most: int, **options: Any) -> None:
        super().__init__(**options)
        self._most = most

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass the request on, and its answer as far as it may go."""
        request.headers["Accept-Encoding"] = "identity"
        answer = await super().handle_async_request(request)
        answer.headers.pop("Content-Encoding", None)
        answer.stream = _Counted(answer.stream, self._most)
        return answer


class _Counted(httpx.AsyncByteStream):
    def __init__(self, stream: Any, most: int) -> None:
        self._stream, self._most = stream, most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size > self._most:
                raise TooLong(f"the answer is larger than {self._most} bytes")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
