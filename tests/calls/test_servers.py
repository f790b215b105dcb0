"""Real servers in processes of their own: killed in the middle of a call, or told to end."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import wave
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import websockets
from django.conf import settings as project
from django.db import connections
from django.utils import timezone

from calls.carrier_auth import twilio_auth_token
from calls.models import Call, CallEvent, Utterance
from calls.tasks import sweep_calls
from calls.tokens import widget_token
from tenants.db import run_in_tenant, run_unscoped
from tests.calls.conftest import staff_desk
from tests.calls.phone import TWILIO
from tests.calls.waiting import until
from tests.peers.twilio import Account, on_the_phone, place_call

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Server:
    """A running server on the test's own database."""

    process: subprocess.Popen[str]
    account: Account


def database_url() -> str:
    found = connections["default"].settings_dict
    user = f"{quote(found['USER'])}:{quote(found['PASSWORD'])}"
    port = f"&port={found['PORT']}" if found["PORT"] else ""
    return f"postgresql://{user}@/{found['NAME']}?host={quote(str(found['HOST']))}{port}"


@pytest.fixture
def serve(tmp_path) -> Iterator[Any]:
    """Start a server: `serve("uvicorn", drain_seconds=1)`."""
    started: list[subprocess.Popen[str]] = []

    def start(kind: str, drain_seconds: int = 30) -> Server:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            process = subprocess.Popen(
                [sys.executable, "-m", "config.serve", "--server", kind, "--fd",
                 str(listener.fileno())],
                cwd=ROOT, text=True, pass_fds=(listener.fileno(),),
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "DJANGO_SETTINGS_MODULE": "config.settings.local",
                    "DATABASE_URL": database_url(),
                    "REDIS_URL": project.REDIS_URL,
                    "DATA_DIR": str(project.DATA_DIR),
                    "MEDIA_DIR": str(tmp_path),
                    "PUBLIC_BASE_URL": address,
                    "SECRET_KEY": project.SECRET_KEY,
                    "TWILIO_AUTH_TOKEN": "",
                    "DRAIN_SECONDS": str(drain_seconds),
                },
            )  # fmt: skip
        started.append(process)
        httpx.get(f"{address}/healthz", timeout=60).raise_for_status()
        return Server(process, Account(auth_token=twilio_auth_token(), server=address))

    yield start
    for process in started:
        process.kill()
        process.communicate()


@asynccontextmanager
async def greeted(server: Server, desk):
    """A call whose greeting was heard, and is stored."""
    async with on_the_phone(server.account, to=desk.number) as (stream, line):
        await until(lambda: rows(desk, Utterance, role="agent"), seconds=30)
        yield stream, line


async def rows(desk, model, **filters):
    return await run_in_tenant(desk.tenant.id, lambda: list(model.objects.filter(**filters)))


async def ended(process: subprocess.Popen[str]) -> str:
    """Wait for the process to end; what it said."""
    output, _ = await asyncio.to_thread(process.communicate, timeout=60)
    return output


async def test_killed_server_loses_nothing_that_was_said_and_the_sweeper_closes_the_call(
    desk, serve, tmp_path
):
    server = await asyncio.to_thread(serve, "uvicorn")
    async with greeted(server, desk):
        await until(lambda: any(file.stat().st_size > 44 for file in tmp_path.rglob("*.wav")))
        server.process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(server.process.wait)
    (call,) = await rows(desk, Call)
    assert call.state == "live"
    assert [t.heard_text for t in await rows(desk, Utterance)] == ["Hola."]

    a_minute_ago = timezone.now() - timedelta(minutes=1)
    await run_in_tenant(desk.tenant.id, lambda: Call.objects.update(heartbeat_at=a_minute_ago))
    assert await run_unscoped(sweep_calls) == 1
    (call,) = await rows(desk, Call)
    assert (call.state, call.end_reason, call.ended_at) == ("ended", "server_lost", a_minute_ago)
    assert call.finalised_at is not None
    (recording,) = tmp_path.rglob("*.wav")
    with wave.open(str(recording)) as sound:
        assert (sound.getnchannels(), sound.getframerate()) == (2, 8000)
        assert sound.getnframes() > 0


async def test_words_survive_a_kill_that_comes_before_their_answer(tenant, serve):
    unhurried = {"endpointing_min": 5000, "endpointing_max": 8000, "endpointing_adaptive": False}
    desk = await run_unscoped(
        staff_desk, tenant, "+525512340001",
        transcriber={"provider": "browser", "languages": ["es-MX"], "turns": unhurried},
    )  # fmt: skip
    server = await asyncio.to_thread(serve, "uvicorn")
    address = server.account.server.replace("http", "ws", 1)
    token = widget_token(desk.agent.public_id)
    url = f"{address}/api/v1/ws/media-stream?client=browser&token={token}"
    async with websockets.connect(url) as page:
        await page.send(json.dumps({"type": "start", "sample_rate": 16000}))
        assert json.loads(await page.recv())["type"] == "ready"
        said = {"type": "transcript", "text": "quiero reservar para dos", "final": True}
        await page.send(json.dumps(said))
        await until(lambda: rows(desk, CallEvent, name="transcript_final"), seconds=30)
        server.process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(server.process.wait)
    (heard,) = await rows(desk, CallEvent, name="transcript_final")
    assert heard.data["text"] == "quiero reservar para dos"
    assert await rows(desk, Utterance, role="caller") == []


@pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
async def test_draining_server_takes_no_call_and_ends_the_last_when_time_is_up(desk, serve, kind):
    server = await asyncio.to_thread(serve, kind, drain_seconds=2)
    async with greeted(server, desk) as (stream, _line):
        server.process.send_signal(signal.SIGTERM)
        await until(lambda: refuses(server, desk))
        assert stream.socket.close_code is None
        output = await ended(server.process)
        await asyncio.wait_for(stream.socket.wait_closed(), 10)
        assert stream.socket.close_code == 1000
    assert "draining: 1 calls are live" in output
    assert "Traceback" not in output
    (call,) = await rows(desk, Call, state="ended")
    assert call.end_reason == "drained"


async def refuses(server: Server, desk) -> bool:
    answer, _ = await place_call(server.account, to=desk.number)
    return bool(answer.said) and not answer.stream_url


async def test_draining_server_ends_as_soon_as_its_last_caller_hangs_up(desk, serve):
    server = await asyncio.to_thread(serve, "uvicorn", drain_seconds=600)
    async with greeted(server, desk) as (stream, _line):
        server.process.send_signal(signal.SIGTERM)
        await stream.stop()
        output = await ended(server.process)
    assert "drained" in output
    (call,) = await rows(desk, Call, state="ended")
    assert call.end_reason == "caller_hung_up"


@pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
async def test_bad_input_is_closed_with_its_code_and_no_traceback(desk, serve, kind):
    server = await asyncio.to_thread(serve, kind, drain_seconds=2)
    assert await code_for_garbage(server) == 4408
    async with greeted(server, desk) as (stream, _line):
        for _ in range(11):
            await stream.malformed_json()
        await asyncio.wait_for(stream.socket.wait_closed(), 10)
        assert stream.socket.close_code == 4400
    server.process.send_signal(signal.SIGTERM)
    output = await ended(server.process)
    assert "media socket closed: missing_start" in output
    assert not {"Traceback", "Exception"} & set(re.findall(r"\w+", output))


async def code_for_garbage(server: Server) -> int | None:
    """The close code for a stream that begins with nonsense."""
    url = server.account.server.replace("http", "ws", 1) + TWILIO
    async with websockets.connect(url) as socket:
        for _ in range(11):
            await socket.send("{")
        await asyncio.wait_for(socket.wait_closed(), 10)
        return socket.close_code
