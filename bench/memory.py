"""What a thousand short calls leave behind in the media server's memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from bench.callers.caller import Measured
from bench.callers.sockets import TwilioCaller
from bench.figures import Figure
from bench.load import until_quiet
from bench.server import Server, bench_server, cores

SHORT_CALLS, AT_ONCE = 1000, 40
WARM_UP_CALLS = 1000  # until the heap is as large as so many calls at once make it


async def measure() -> list[Figure]:
    """Memory before and after a thousand short calls."""
    server_core, our_core = cores()
    if our_core is not None:
        os.sched_setaffinity(0, {our_core})
    async with bench_server("uvicorn", server_core) as server:
        clips, measured = TwilioCaller.speech(), Measured()
        await _short_calls(server, clips, measured, WARM_UP_CALLS)
        before = await until_quiet(server)
        await _short_calls(server, clips, measured, SHORT_CALLS)
        after = await until_quiet(server)
        grown = (after["rss_bytes"] - before["rss_bytes"]) / 2**20
        objects = after["objects"] - before["objects"]
        return [
            Figure("short calls", SHORT_CALLS, "calls"),
            Figure(f"memory after {WARM_UP_CALLS} calls", before["rss_bytes"] / 2**20, "MiB"),
            Figure(f"memory after {SHORT_CALLS} more", after["rss_bytes"] / 2**20, "MiB"),
            Figure(f"memory grown in the last {SHORT_CALLS} calls", grown, "MiB", 4),
            Figure("Python objects left per call", objects / SHORT_CALLS, "objects", 1),
            Figure("calls lost", measured.lost, "calls", 0),
        ]


async def _short_calls(
    server: Server, clips: Sequence[Sequence[str]], measured: Measured, count: int
) -> None:
    """`count` calls of a second and a half, a few dozen at a time."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with free:
            call = TwilioCaller(number, clips, measured)
            await call.connect(server)
            await call.talk_briefly(1.2)
            await call.leave()

    await asyncio.gather(*(one(number) for number in range(count)))
