"""Simultaneous calls on one core, all recorded: how fast they are answered, what they cost."""

from __future__ import annotations

import asyncio
import gc
import os
from dataclasses import dataclass
from typing import Any

from bench import caller
from bench.caller import Caller, Measured
from bench.figures import Figure, percentile
from bench.server import HOST, PATH, Server, bench_server, cores

CALLS_PER_CORE = 150  # the goal, whatever number of calls is tried
CONNECT_SECONDS = 8.0  # over which the calls come in
SHORT_CALLS, AT_ONCE = 1000, 40
WARM_UP_CALLS = 1000  # until the heap is as large as so many calls at once make it


@dataclass(frozen=True, slots=True)
class Load:
    """How many calls, and for how long after the last has come in."""

    calls: int = CALLS_PER_CORE
    seconds: float = 40.0


async def measure(kind: str, load: Load) -> list[Figure]:
    """Figures of one kind of server under load."""
    server_core, our_core = cores()
    if our_core is not None:
        os.sched_setaffinity(0, {our_core})
    async with bench_server(kind, server_core) as server:
        clips = caller.speech()
        await _one_call(server, clips)
        idle = await server.metrics()
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            measured, before, after = await _under_load(server, load, clips)
        finally:
            gc.enable()
        found = _figures(load, measured, idle, before, after)
        return [*found, *await _recordings(server, load)]


async def _one_call(server: Server, clips: list[list[str]]) -> None:
    """Warm everything up that is made once."""
    call = Caller(0, clips, Measured())
    await call.connect(HOST, server.port, PATH)
    await call.talk_briefly(3.0)
    call.hang_up()
    await _until_quiet(server)


async def _under_load(
    server: Server, load: Load, clips: list[list[str]]
) -> tuple[Measured, dict[str, Any], dict[str, Any]]:
    measured = Measured()
    loop = asyncio.get_running_loop()
    calls = [Caller(number, clips, measured) for number in range(1, load.calls + 1)]
    until = loop.time() + CONNECT_SECONDS + load.seconds
    talks = [asyncio.create_task(_telephone(call, server, load, until)) for call in calls]
    await asyncio.sleep(CONNECT_SECONDS + 2.0)
    before = await server.metrics()
    measured.response.clear()
    measured.bargein.clear()
    measured.gaps.clear()
    measured.late_ticks.clear()
    await asyncio.sleep(until - loop.time() - 1.0)
    after = await server.metrics()
    await asyncio.gather(*talks)
    return measured, before, after


async def _telephone(call: Caller, server: Server, load: Load, until: float) -> None:
    number = int(call._call_sid[2:], 16)
    await asyncio.sleep(CONNECT_SECONDS * number / load.calls)
    await call.connect(HOST, server.port, PATH)
    await call.converse(until)
    call.hang_up()


async def _until_quiet(server: Server) -> dict[str, Any]:
    """Wait until the server has let go of every call."""
    async with asyncio.timeout(30):
        while (metrics := await server.metrics())["live_calls"]:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    return metrics


async def _recordings(server: Server, load: Load) -> list[Figure]:
    """What became of the recordings, once those of all calls and of the first one are closed."""
    async with asyncio.timeout(30):
        while (counts := (await server.metrics())["counts"]).get("recorded.calls", 0) <= load.calls:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    return [
        Figure("sound recorded", counts["recorded.ms"] / 1000, "s"),
        Figure("recordings that failed", counts["recorded.failures"], "recordings", 0),
    ]


def _known(value: float | None) -> float:
    """What was not measured holds nowhere."""
    return float("nan") if value is None else value


def _figures(
    load: Load,
    measured: Measured,
    idle: dict[str, Any],
    before: dict[str, Any],
    after: dict[str, Any],
) -> list[Figure]:
    seconds = after["wall_seconds"] - before["wall_seconds"]
    cpu = (after["cpu_seconds"] - before["cpu_seconds"]) / seconds * 100
    memory = (after["rss_bytes"] - idle["rss_bytes"]) / load.calls / 2**20
    response, bargein = measured.response, measured.bargein
    return [
        Figure("calls at once", after["live_calls"], "calls", CALLS_PER_CORE, at_least=True),
        Figure("replies measured", len(response), "replies", CALLS_PER_CORE, at_least=True),
        Figure("last speech frame to first media, p50", percentile(response, 0.5), "ms"),
        Figure("last speech frame to first media, p95", percentile(response, 0.95), "ms", 320),
        Figure("playback gap, longest", max(measured.gaps, default=0.0), "ms", 20),
        Figure("event loop lag, p99", _known(after["loop_lag_p99_ms"]), "ms", 20),
        Figure("core, whole server", cpu, "%"),
        Figure("core, per call", cpu / load.calls, "%", 0.6),
        Figure("memory, per call", memory, "MiB", 1),
        Figure("barge-ins measured", len(bargein), "times", 20, at_least=True),
        Figure("barge-in to clear, p50", percentile(bargein, 0.5), "ms"),
        Figure("barge-in to clear, p95", percentile(bargein, 0.95), "ms", 200 + 40),
        Figure("barge-ins not heeded", measured.not_stopped, "times", 0),
        Figure("questions not answered", measured.unanswered, "times", 0),
        Figure("calls lost", measured.lost, "calls", 0),
        Figure("lateness of our own frames, p99", percentile(measured.late_ticks, 0.99), "ms"),
    ]


async def measure_memory(kind: str) -> list[Figure]:
    """Memory before and after a thousand short calls."""
    server_core, our_core = cores()
    if our_core is not None:
        os.sched_setaffinity(0, {our_core})
    async with bench_server(kind, server_core) as server:
        clips, measured = caller.speech(), Measured()
        await _short_calls(server, clips, measured, WARM_UP_CALLS)
        before = await _until_quiet(server)
        await _short_calls(server, clips, measured, SHORT_CALLS)
        after = await _until_quiet(server)
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
    server: Server, clips: list[list[str]], measured: Measured, count: int
) -> None:
    """`count` calls of a second and a half, a few dozen at a time."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with free:
            call = Caller(number, clips, measured)
            await call.connect(HOST, server.port, PATH)
            await call.talk_briefly(1.2)
            call.hang_up()

    await asyncio.gather(*(one(number) for number in range(count)))
