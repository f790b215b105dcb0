"""Measure: `python -m bench [--only voice|memory|platform] [--calls N] [--server KIND]`.

Prints a table for each benchmark, writes bench/results/*.json, and ends with status 1 if a
figure falls short of its limit. Uses the loopback interface only.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial

import uvloop

from bench import platform, voice
from bench.figures import Figure, save, table

SERVERS = ("uvicorn", "daphne")
LONGEST_SECONDS = 240  # for one benchmark of one server


def benchmarks(options: argparse.Namespace) -> dict[str, Callable[[], Awaitable[list[Figure]]]]:
    """Everything that can be measured, by the name of its result."""
    load = voice.Load(options.calls, options.seconds)
    servers = [options.server] if options.server else SERVERS
    return {
        **{f"voice-{each}": partial(voice.measure, each, load) for each in servers},
        **{f"memory-{each}": partial(voice.measure_memory, each) for each in servers},
        "platform": platform.measure,
    }


async def _bounded(measuring: Awaitable[list[Figure]]) -> list[Figure]:
    return await asyncio.wait_for(measuring, LONGEST_SECONDS)


def _run(name: str, measure: Callable[[], Awaitable[list[Figure]]]) -> int:
    """Run one benchmark, show and save what it found; how many figures fall short."""
    print(f"{name} ...", flush=True)
    try:
        figures = uvloop.run(_bounded(measure()))
    except (OSError, RuntimeError) as error:  # TimeoutError is an OSError
        print(f"  could not be measured: {error or type(error).__name__}\n", flush=True)
        return 1
    print(f"{table(figures)}\n  -> {save(name, figures)}\n", flush=True)
    return sum(not figure.holds for figure in figures)


def main() -> int:
    """Run what was asked for; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=("voice", "memory", "platform"))
    parser.add_argument("--server", choices=SERVERS, help="instead of each in turn")
    parser.add_argument("--calls", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=40.0)
    options = parser.parse_args()
    short = 0
    for name, measure in benchmarks(options).items():
        if name.startswith(options.only or ""):
            short += _run(name, measure)
    if short:
        print(f"{short} figures fall short.")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
