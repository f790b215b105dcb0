"""Starts and watches the server under test: `manage.py bench_server` on one core."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_SECONDS = 60


@dataclass(slots=True)
class Server:
    """A running bench server."""

    port: int
    pid: int

    async def metrics(self) -> dict[str, Any]:
        """The server's own figures of this moment."""
        url = f"http://{HOST}:{self.port}/bench/metrics"
        return await asyncio.to_thread(_get_json, url)


def _get_json(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310 - loopback
        found: dict[str, Any] = json.load(response)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def bench_server(kind: str, core: int | None) -> AsyncIterator[Server]:
    """A server of that kind, pinned to a core, for as long as the block lasts."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "manage.py"),
        "bench_server",
        f"--port={port}",
        f"--server={kind}",
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=None if core is None else (lambda: os.sched_setaffinity(0, {core})),
    )
    try:
        await _until_ready(process)
        yield Server(port, process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _until_ready(process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(START_SECONDS):
        async for line in process.stdout:
            if line.strip() == b"ready":
                return
    raise RuntimeError(f"the bench server ended with status {await process.wait()}")


def cores() -> tuple[int | None, int | None]:
    """One core for the server and another for the callers, where there are two to have."""
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[1]) if len(available) > 1 else (None, None)
