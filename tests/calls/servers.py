"""Servers in processes of their own, on the test's own database."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from django.conf import settings as project
from django.db import connections

from calls.carriers.installation import installation_keys
from calls.models import Utterance
from tenants.db import run_in_tenant
from tests.calls.waiting import until
from tests.peers.twilio import Account, Line, TwilioStream, on_the_phone

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Server:
    """A running server; what it says is in `log`."""

    process: subprocess.Popen[bytes]
    account: Account
    log: Path


Start = Callable[..., Server]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Start]:
    """Start a server for this test: `serve("uvicorn", drain_seconds=1)`."""
    with servers(tmp_path) as start:
        yield start


@pytest.fixture(scope="session")
def lasting(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Iterator[Start]:
    """One server of each kind for all tests, started when it is first asked for."""
    running: dict[str, Server] = {}
    with servers(tmp_path_factory.mktemp("servers")) as start:

        def once(kind: str) -> Server:
            if kind not in running:
                running[kind] = start(kind)
            return running[kind]

        yield once


@contextmanager
def servers(folder: Path) -> Iterator[Start]:
    """A way to start servers whose recordings and logs go to `folder`; all end with the block."""
    started: list[subprocess.Popen[bytes]] = []

    def start(kind: str, drain_seconds: int = 30) -> Server:
        log = folder / f"server-{len(started)}.log"
        with socket.create_server(("127.0.0.1", 0)) as listener, log.open("wb") as output:
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            process = subprocess.Popen(
                [sys.executable, "-m", "config.serve", "--server", kind, "--fd",
                 str(listener.fileno())],
                cwd=ROOT, pass_fds=(listener.fileno(),), stdout=output, stderr=output,
                env=_environment(folder, address, drain_seconds),
            )  # fmt: skip
        started.append(process)
        httpx.get(f"{address}/healthz", timeout=60).raise_for_status()
        return Server(
            process,
            Account(auth_token=installation_keys("twilio")["auth_token"], server=address),
            log,
        )

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.wait()


def _environment(folder: Path, address: str, drain_seconds: int) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings.local",
        "DATABASE_URL": _database_url(),
        "REDIS_URL": project.REDIS_URL,
        "DATA_DIR": str(project.DATA_DIR),
        "MEDIA_DIR": str(folder),
        "PUBLIC_BASE_URL": address,
        "SECRET_KEY": project.SECRET_KEY,
        "TWILIO_AUTH_TOKEN": "",
        "TELNYX_API_KEY": "",
        "DRAIN_SECONDS": str(drain_seconds),
    }


def _database_url() -> str:
    found = connections["default"].settings_dict
    user = f"{quote(found['USER'])}:{quote(found['PASSWORD'])}"
    port = f"&port={found['PORT']}" if found["PORT"] else ""
    return f"postgresql://{user}@/{found['NAME']}?host={quote(str(found['HOST']))}{port}"


async def rows(desk: Any, model: Any, **filters: Any) -> list[Any]:
    """The desk's tenant's rows of a model."""
    return await run_in_tenant(desk.tenant.id, lambda: list(model.objects.filter(**filters)))


async def ended(server: Server) -> str:
    """Wait for the server to end; what it said."""
    await asyncio.to_thread(server.process.wait, 60)
    return server.log.read_text()


@asynccontextmanager
async def greeted(server: Server, desk: Any) -> AsyncIterator[tuple[TwilioStream, Line]]:
    """A call whose greeting was heard, and is stored."""
    async with on_the_phone(server.account, to=desk.number) as (stream, line):
        await until(lambda: rows(desk, Utterance, role="agent"), seconds=30)
        yield stream, line
