"""Measure: `python -m bench [--only voice|memory] [--calls N] [--seconds S] [--server KIND]`.

Prints a table for each benchmark, writes bench/results/*.json, and ends with status 1 if a
figure falls short of its limit. Uses the loopback interface only.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

import uvloop

from bench import voice
from bench.figures import Figure, save, table

SERVERS = ("uvicorn", "daphne")
LONGEST_SECONDS = 240  # for one benchmark of one server
Measure = Callable[[argparse.Namespace, str], Awaitable[list[Figure]]]


async def measure_voice(options: argparse.Namespace, server: str) -> list[Figure]:
    return await voice.measure(server, voice.Load(options.calls, options.seconds))


async def measure_memory(_options: argparse.Namespace, server: str) -> list[Figure]:
    return await voice.measure_memory(server)


BENCHMARKS: dict[str, Measure] = {"voice": measure_voice, "memory": measure_memory}


async def _bounded(measuring: Awaitable[list[Figure]]) -> list[Figure]:
    return await asyncio.wait_for(measuring, LONGEST_SECONDS)


def main() -> int:
    """Run what was asked for; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=BENCHMARKS)
    parser.add_argument("--server", choices=SERVERS, help="instead of each in turn")
    parser.add_argument("--calls", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=40.0)
    options = parser.parse_args()
    short = 0
    for name in [options.only] if options.only else BENCHMARKS:
        for server in [options.server] if options.server else SERVERS:
            title = f"{name}-{server}"
            print(f"{title} ...", flush=True)
            figures = uvloop.run(_bounded(BENCHMARKS[name](options, server)))
            path = save(title, figures)
            print(f"{table(figures)}\n  -> {path}\n", flush=True)
            short += sum(not figure.holds for figure in figures)
    if short:
        print(f"{short} figures fall short.")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
