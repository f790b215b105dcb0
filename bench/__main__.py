"""Measure: `make bench ONLY=voice`, or `python -m bench voice [--part …] [--calls N]`.

A suite is one area of the product; its figures are those that the issues name, with limits, and
what explains them. Prints a table for each part, writes `bench/results/<suite>.json`, and ends
with status 1 if a figure falls short of its limit. Uses the loopback interface only.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial

import uvloop

from bench import campaign, carriers, load, memory, platform
from bench.callers.sockets import TwilioCaller
from bench.figures import Figure, save, table, without_limits

Measure = Callable[[], Awaitable[list[Figure]]]

SUITES = ("voice", "carriers")
LONGEST_SECONDS = 240  # for one part
DAPHNE_CALLS = 40  # what it holds is compared with the media server's own figures


def parts(options: argparse.Namespace) -> dict[str, Measure]:
    """The parts of the suite that was asked for."""
    return {"voice": _voice, "carriers": _carriers}[options.suite](options)


def _carriers(options: argparse.Namespace) -> dict[str, Measure]:
    lines: dict[str, Measure] = {
        name: partial(carriers.measure, line, options.calls, options.seconds / 2)
        for name, line in carriers.LINES.items()
    }
    return {**lines, "campaign": campaign.measure}


def _voice(options: argparse.Namespace) -> dict[str, Measure]:
    """uvicorn is what production serves media with, so the limits are its; daphne's figures are
    there for comparison.
    """
    twilio = carriers.LINES["twilio"].goals
    calls = options.calls or twilio.calls
    full = load.Load(calls, options.seconds)
    light = load.Load(min(calls, DAPHNE_CALLS), options.seconds / 2)
    return {
        "uvicorn": partial(load.measure, TwilioCaller, twilio, full),
        "daphne": lambda: _compared(load.measure(TwilioCaller, twilio, light, "daphne")),
        "memory": memory.measure,
        "platform": platform.measure,
    }


async def _compared(measuring: Awaitable[list[Figure]]) -> list[Figure]:
    return without_limits(await measuring)


async def _bounded(measuring: Awaitable[list[Figure]]) -> list[Figure]:
    return await asyncio.wait_for(measuring, LONGEST_SECONDS)


def _run(name: str, measure: Measure) -> list[Figure]:
    """Run one part and show what it found; one that fails is a figure that does not hold."""
    print(f"{name} ...", flush=True)
    try:
        figures = uvloop.run(_bounded(measure()))
    except (OSError, RuntimeError) as error:  # TimeoutError is an OSError
        print(f"  could not be measured: {error or type(error).__name__}\n", flush=True)
        return [Figure("measured", 0, "parts", 1, at_least=True)]
    print(f"{table(figures)}\n", flush=True)
    return figures


def main() -> int:
    """Run what was asked for; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("suite", nargs="?", choices=SUITES, default="voice")
    parser.add_argument("--part", help="only this one")
    parser.add_argument("--calls", type=int, help="instead of as many as are the goal")
    parser.add_argument("--seconds", type=float, default=40.0)
    options = parser.parse_args()
    wanted = parts(options)
    if options.part is not None and options.part not in wanted:
        parser.error(f"{options.suite} has no part {options.part!r}, but {', '.join(wanted)}")
    found = {
        name: _run(name, measure)
        for name, measure in wanted.items()
        if options.part in {None, name}
    }
    print(f"-> {save(options.suite, found)}")
    short = sum(not figure.holds for figures in found.values() for figure in figures)
    if short:
        print(f"{short} figures fall short.")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
