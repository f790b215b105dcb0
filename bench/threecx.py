"""A 3CX call's sound: what a frame costs, and how soon a PBX that flushes nothing falls silent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from pydantic import SecretStr

from bench.figures import Figure, percentile
from calls.providers.carriers.bearer import MemoryTokens
from calls.providers.carriers.threecx.attach import Streams
from calls.providers.carriers.threecx.control import CallControl
from calls.providers.carriers.threecx.credentials import ThreeCxCredentials
from calls.providers.carriers.threecx.media import ThreeCxMedia
from calls.providers.carriers.threecx.rest import ThreeCxRest
from calls.simulator.pbx.parties import FRAME_BYTES, Party
from calls.simulator.pbx.server import Pbx, keep_talking

KEY = "bench"
FRAMES = 20_000
INTERRUPTIONS = 20
STOP_LIMIT = 250.0
SECOND = bytes(16_000)


class _Nowhere(asyncio.Transport):
    """A socket that takes everything."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take it."""

    def close(self) -> None:
        """Nothing to close."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """It is never full."""


async def measure() -> list[Figure]:
    """The figures, the cheap ones first."""
    figures = [
        Figure("a 20 ms frame from a 3CX", await _frame_in(), "us"),
        Figure("a 20 ms frame to a 3CX", await _frame_out(), "us"),
    ]
    stops = await _stops()
    return [
        *figures,
        Figure("interrupted 3CX falls silent, p50", percentile(stops, 0.5), "ms"),
        Figure("interrupted 3CX falls silent, p95", percentile(stops, 0.95), "ms", STOP_LIMIT),
    ]


def _media() -> ThreeCxMedia:
    """A stream without a PBX, as if it had been attached."""
    media = ThreeCxMedia(lambda: asyncio.sleep(0, result=True))
    for exchange, method in ((media._ear, "GET"), (media._mouth, "POST")):
        exchange.connection_made(_Nowhere())
        body = [("Transfer-Encoding", "chunked")] if method == "POST" else []
        exchange.request(method, "http://pbx/callcontrol/ai/participants/1/stream", body)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    media._ear.data_received(head)
    return media


async def _frame_in() -> float:
    """Microseconds from bytes off the socket to the event that the voice loop gets."""
    media = _media()
    media.positions.expected = -1e9  # no flood: everything comes at once here
    chunk = b"140\r\n" + bytes(FRAME_BYTES) + b"\r\n"

    async def frame() -> None:
        media._ear.data_received(chunk)
        await anext(media)

    return await _cost(frame)


async def _frame_out() -> float:
    """Microseconds from the voice loop's sound to bytes for the socket, when they are due."""
    media = _media()
    media._pacer.open()
    frame = bytes(FRAME_BYTES)

    async def send() -> None:
        await media.send(frame)
        media._pacer._free_at = 0.0  # as if 20 ms had passed

    return await _cost(send)


async def _cost(work: Callable[[], Awaitable[None]]) -> float:
    began = time.process_time()
    for _ in range(FRAMES):
        await work()
    return (time.process_time() - began) / FRAMES * 1e6


async def _stops() -> list[float]:
    """From `clear` to the end of what the caller hears, in ms, while the caller speaks too."""
    pbx = Pbx(KEY)
    async with pbx.running():
        rest = ThreeCxRest(
            ThreeCxCredentials(base_url=pbx.url, client_id="ai", client_secret=SecretStr(KEY)),
            MemoryTokens(),
        )
        party = pbx.ring()
        party.connect()
        media = await Streams(CallControl(rest)).open(f"{party.id}.{party.call}")
        talking = asyncio.create_task(keep_talking(party, SECOND))
        listening = asyncio.create_task(_listen(media))
        stops = [await _stop(media, party, number) for number in range(INTERRUPTIONS)]
        talking.cancel()
        listening.cancel()
        await media.hang_up(1000)
        await rest.aclose()
    return stops


async def _listen(media: ThreeCxMedia) -> None:
    async for _ in media:
        pass


async def _stop(media: ThreeCxMedia, party: Party, number: int) -> float:
    await media.send(SECOND * 3)
    await asyncio.sleep(0.4 + number * 0.0013)  # at any point of a frame
    cleared = time.monotonic()
    await media.clear()
    await asyncio.sleep(0.35)
    return (party.played.plays_until - cleared) * 1000
