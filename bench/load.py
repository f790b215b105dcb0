"""Simultaneous calls on one core, all recorded: how fast they are answered, what they cost."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.callers.caller import Caller, Measured
from bench.figures import Figure, percentile
from bench.server import Server, bench_server, cores

CONNECT_SECONDS = 8.0  # over which the calls come in
SETTLE_SECONDS = 2.0
BUSY = 0.8  # a core that is fuller than this answers late now and then


@dataclass(frozen=True, slots=True)
class Load:
    """How many calls, and for how long after the last has come in."""

    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Goals:
    """The limits of one kind of call; None where there is nothing to hold.

    `response`, `bargein` (both p95) and `gap` in ms, `cpu` in % of a core and `memory` in MiB
    for each call.
    """

    calls: int
    response: float = 320
    bargein: float = 200 + 40
    gap: float | None = 20
    cpu: float | None = 0.6
    memory: float | None = 1


async def measure(
    kind: type[Caller[Any]], goals: Goals, load: Load, server: str = "uvicorn"
) -> list[Figure]:
    """Figures of one kind of caller, of one kind of server under load."""
    server_core, our_core = cores()
    if our_core is not None:
        os.sched_setaffinity(0, {our_core})
    async with bench_server(server, server_core) as running:
        clips = kind.speech()
        await _one_call(kind, running, clips)
        idle = await running.metrics()
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            measured, before, after = await _under_load(kind, running, load, clips)
        finally:
            gc.enable()
        found = figures(load, goals, measured, idle, before, after)
        return [*found, *await _recordings(running, load)]


async def _one_call(
    kind: type[Caller[Any]], server: Server, clips: Sequence[Sequence[Any]]
) -> None:
    """Warm everything up that is made once."""
    call = kind(0, clips, Measured())
    await call.connect(server)
    await call.talk_briefly(3.0)
    await call.leave()
    await until_quiet(server)


async def _under_load(
    kind: type[Caller[Any]], server: Server, load: Load, clips: Sequence[Sequence[Any]]
) -> tuple[Measured, dict[str, Any], dict[str, Any]]:
    measured = Measured()
    loop = asyncio.get_running_loop()
    calls = [kind(number, clips, measured) for number in range(1, load.calls + 1)]
    until = loop.time() + CONNECT_SECONDS + load.seconds
    talks = [asyncio.create_task(_telephone(call, server, load, until)) for call in calls]
    await asyncio.sleep(CONNECT_SECONDS + SETTLE_SECONDS)
    before = await server.metrics()
    measured.forget()
    await asyncio.sleep(until - loop.time() - 1.0)
    after = await server.metrics()
    await asyncio.gather(*talks)
    return measured, before, after


async def _telephone(call: Caller[Any], server: Server, load: Load, until: float) -> None:
    await asyncio.sleep(CONNECT_SECONDS * call.number / load.calls)
    await call.connect(server)
    await call.converse(until)
    await call.leave()


async def until_quiet(server: Server) -> dict[str, Any]:
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


def figures(
    load: Load,
    goals: Goals,
    measured: Measured,
    idle: dict[str, Any],
    before: dict[str, Any],
    after: dict[str, Any],
) -> list[Figure]:
    """What the callers measured, and what the server says of itself, with their limits."""
    seconds = after["wall_seconds"] - before["wall_seconds"]
    cpu = (after["cpu_seconds"] - before["cpu_seconds"]) / seconds * 100
    memory = (after["rss_bytes"] - idle["rss_bytes"]) / load.calls / 2**20
    response, bargein = measured.response, measured.bargein
    return [
        Figure("calls at once", after["live_calls"], "calls", goals.calls, at_least=True),
        Figure("replies measured", len(response), "replies", goals.calls, at_least=True),
        Figure("last speech frame to first media, p50", percentile(response, 0.5), "ms"),
        Figure(
            "last speech frame to first media, p95",
            percentile(response, 0.95), "ms", goals.response,
        ),
        Figure("playback gap, longest", max(measured.gaps, default=0.0), "ms", goals.gap),
        Figure("event loop lag, p99", _known(after["loop_lag_p99_ms"]), "ms", 20),
        Figure("core, whole server", cpu, "%"),
        Figure("core, per call", cpu / load.calls, "%", goals.cpu),
        Figure(f"calls for a core {BUSY:.0%} busy, worked out", _fitting(load, cpu), "calls"),
        Figure("memory, per call", memory, "MiB", goals.memory),
        Figure("barge-ins measured", len(bargein), "times", 20, at_least=True),
        Figure("barge-in until silent, p50", percentile(bargein, 0.5), "ms"),
        Figure("barge-in until silent, p95", percentile(bargein, 0.95), "ms", goals.bargein),
        Figure("barge-ins not heeded", measured.not_stopped, "times", 0),
        Figure("questions not answered", measured.unanswered, "times", 0),
        Figure("calls lost", measured.lost, "calls", 0),
        Figure("lateness of our own frames, p99", percentile(measured.late_ticks, 0.99), "ms"),
    ]  # fmt: skip


def _fitting(load: Load, cpu: float) -> float:
    return load.calls * BUSY * 100 / cpu if cpu else float("nan")
