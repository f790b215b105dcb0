"""An ASGI application on a port, in the test's own process and event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn


@asynccontextmanager
async def on_a_port(application: Any) -> AsyncIterator[str]:
    """Serve on loopback until the block ends; gives the address.

    As `uvicorn.Server.serve`, without the loop in which that looks ten times a second whether
    it should end: a test would wait for it twice.
    """
    config = uvicorn.Config(
        application, port=0, lifespan="off", log_level="error", ws="websockets-sansio"
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        await _end(server)


async def _end(server: uvicorn.Server) -> None:
    """Close what is open, and let each request and socket end by itself."""
    for listener in server.servers:
        listener.close()
    state = server.server_state
    for connection in list(state.connections):
        connection.shutdown()
    async with asyncio.timeout(10):
        while state.tasks:
            await asyncio.wait(state.tasks)
        while state.connections:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0)
        for listener in server.servers:
            await listener.wait_closed()
