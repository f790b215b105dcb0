"""How a carrier's media socket begins: some chatter, then one message that says whose it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from calls.providers.carriers.asgi import Receive
from calls.providers.carriers.errors import Fault, MediaFault, StreamGone
from calls.providers.carriers.socket import Limits, parse

Start = TypeVar("Start")
ReadStart = Callable[[dict[str, Any]], Start | None]


async def until_start(receive: Receive, limits: Limits, read: ReadStart[Start]) -> Start:
    """Read up to and including the message that `read` makes a start of.

    Raises MediaFault (no start in time, media before it, garbage) and StreamGone.
    """
    try:
        async with asyncio.timeout(limits.start_seconds):
            return await _until_start(receive, limits, read)
    except TimeoutError:
        raise MediaFault(
            Fault.MISSING_START, f"no start message within {limits.start_seconds:g} s"
        ) from None


async def _until_start(receive: Receive, limits: Limits, read: ReadStart[Start]) -> Start:
    for _ in range(limits.malformed + 1):
        message = await receive()
        if message["type"] == "websocket.disconnect":
            raise StreamGone
        text = message.get("text")
        if text is None:
            continue
        if len(text) > limits.message_bytes:
            raise MediaFault(Fault.OVERSIZED, f"{len(text)} bytes before the start")
        start = _start_in(text, read)
        if start is not None:
            return start
    raise MediaFault(Fault.MISSING_START, f"{limits.malformed + 1} messages, and none was a start")


def _start_in(text: str, read: ReadStart[Start]) -> Start | None:
    try:
        message = parse(text)
    except MediaFault:
        return None
    if message.get("event") == "media":
        raise MediaFault(Fault.MISSING_START, "media came before the start message")
    return read(message)
