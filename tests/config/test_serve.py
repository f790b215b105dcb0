"""How a server ends: what it waits for, and what hurries it. `tests/calls/test_servers.py` does
that to real ones."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


@pytest.fixture
def drain(monkeypatch):
    """A `Drain` whose live calls end when the test says so, and what was asked of it."""
    from calls.line.live import live
    from config.serve import Drain

    asked: list[float] = []
    quiet = asyncio.Event()

    async def pretend(seconds: float) -> None:
        asked.append(seconds)
        if seconds:
            await quiet.wait()

    monkeypatch.setattr(live, "drain", pretend)
    stopped = asyncio.Event()
    return Drain(stopped.set), asked, quiet, stopped


async def test_sigterm_waits_for_live_calls(drain):
    draining, asked, quiet, stopped = drain
    draining.begin(signal.SIGTERM)
    await asyncio.sleep(0)
    assert asked == [settings.DRAIN_SECONDS]
    assert not stopped.is_set()
    quiet.set()
    await asyncio.wait_for(stopped.wait(), PATIENCE)


async def test_a_second_signal_hurries(drain):
    draining, asked, _, stopped = drain
    draining.begin(signal.SIGTERM)
    await asyncio.sleep(0)
    draining.begin(signal.SIGTERM)
    await asyncio.wait_for(stopped.wait(), PATIENCE)
    assert asked == [settings.DRAIN_SECONDS, 0]


async def test_sigint_does_not_wait(drain):
    draining, asked, _, stopped = drain
    draining.begin(signal.SIGINT)
    await asyncio.wait_for(stopped.wait(), PATIENCE)
    assert asked == [0]


async def test_what_calls_share_is_closed_when_the_last_one_is_over(drain, monkeypatch):
    from calls.line import startup

    draining, asked, _, stopped = drain
    closed: list[list[float]] = []

    async def close() -> None:
        closed.append(list(asked))

    monkeypatch.setattr(startup, "close_clients", close)
    draining.begin(signal.SIGINT)
    await asyncio.wait_for(stopped.wait(), PATIENCE)
    assert closed == [[0]]
