"""Both servers, started as in production, and how they end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[subprocess.Popen[str], int]]]:
    """Start a server on a socket that is already open; its address answers."""
    started = []

    def start(server: str) -> tuple[subprocess.Popen[str], int]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            process = subprocess.Popen(
                [sys.executable, "-m", "config.serve", "--server", server, "--fd",
                 str(listener.fileno())],
                cwd=ROOT, text=True, pass_fds=(listener.fileno(),),
                env=os.environ | {
                    "DJANGO_SETTINGS_MODULE": "config.settings.local",
                    "DATA_DIR": str(settings.DATA_DIR),
                },
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
        started.append(process)
        url = f"http://127.0.0.1:{port}/healthz"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            assert answer.status == 200
        return process, port

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("server", ["daphne", "uvicorn"])
def test_sigterm_drains_and_ends_the_server(serve, server):
    process, port = serve(server)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode in (0, -signal.SIGTERM), output
    assert "draining: 0 calls are live" in output
    assert "Traceback" not in output
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


@pytest.fixture
def drain(monkeypatch):
    """A `Drain` whose live calls end when the test says so, and what was asked of it."""
    from calls.live import live
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
    from calls import startup

    draining, asked, _, stopped = drain
    closed: list[list[float]] = []

    async def close() -> None:
        closed.append(list(asked))

    monkeypatch.setattr(startup, "close_clients", close)
    draining.begin(signal.SIGINT)
    await asyncio.wait_for(stopped.wait(), PATIENCE)
    assert closed == [[0]]
