"""What simulated carriers have in common: an API that is served, and work beside it."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Self, TypeVar

import httpx

from calls.providers.tls import shared_tls
from calls.simulator.small_http import Request, Response, serving

T = TypeVar("T")


class Cloud(ABC):
    """A carrier's side of one account, which asks the application over `_http`."""

    def __init__(self) -> None:
        self.port = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._http = httpx.AsyncClient(timeout=15, verify=shared_tls())

    @abstractmethod
    async def handle(self, request: Request) -> Response:
        """Answer one request."""

    @abstractmethod
    async def _close_lines(self) -> None:
        """Close what is open of the legs."""

    @contextlib.asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator[Self]:
        """Serve the API until the block ends; all legs end with it."""
        async with serving(self.handle, port) as self.port:
            try:
                yield self
            finally:
                await self._close()

    async def _close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._close_lines()
        await self._http.aclose()

    def later(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do it beside all else, until the cloud closes."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
