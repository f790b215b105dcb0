"""A frame costs no database, no channel layer and no thread hop, however many come."""

from __future__ import annotations

import asyncio
import threading
import traceback
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from channels.layers import get_channel_layer
from django.db.backends.base.base import BaseDatabaseWrapper

from calls import consumers
from calls.line import setup, writer
from calls.models import Recording
from calls.providers.carriers.socket import Limits
from calls.providers.carriers.twilio.carrier import CARRIER as TWILIO
from calls.providers.carriers.twilio.media import TwilioMedia
from calls.recordings import recordings_folder
from calls.voice import recording
from calls.voice.silero import SileroDetector
from tenants.db import run_in_tenant
from tests.calls.conftest import staff_desk
from tests.calls.phone import QUICK, Phone, on_a_script
from tests.calls.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

SID = "CA" + "1" * 32
SOUND_MS = 10_000  # 500 frames
LONG = "la " * 330  # 13 s of the agent, so that frames go both ways


@pytest.fixture
def desk(tenant):
    transcriber = {"provider": "embedded", "languages": ["es-MX"], "turns": QUICK}
    return staff_desk(tenant, "+525512340001", transcriber=transcriber, greeting=LONG)


@pytest.fixture
async def phone(desk, monkeypatch, settings, tmp_path, ring, quiet):
    """A call that is recorded, listens with the real detector, and whose agent is speaking."""
    settings.MEDIA_ROOT = tmp_path
    on_a_script(monkeypatch)
    monkeypatch.setattr(setup, "SileroDetector", SileroDetector)
    monkeypatch.setattr(writer, "HEARTBEAT_SECONDS", 3600.0)
    answer = ElementTree.fromstring((await ring(desk.number, SID)).content)  # noqa: S314 - ours
    phone = Phone(
        consumers.StreamConsumer.as_asgi(door=TWILIO.media, limits=Limits(ahead_ms=2 * SOUND_MS))
    )
    phone.start(SID, answer.find("Connect/Stream/Parameter").get("value"))
    await phone.hears()
    await until(lambda: quiet.writer.backlog == 0)
    yield phone
    phone.stop()
    await phone.over()


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Note who asks for a thread, a connection or a channel meanwhile. It is done all the same."""
    found: list[str] = []

    def note(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def noted(*args: Any, **kwargs: Any) -> Any:
            found.append(f"{name}, by way of\n{''.join(traceback.format_stack(limit=6)[:-1])}")
            return real(*args, **kwargs)

        patch.setattr(owner, name, noted)

    layer = get_channel_layer()
    assert layer is not None
    with monkeypatch.context() as patch:
        note(asyncio.get_running_loop(), "run_in_executor")
        note(ThreadPoolExecutor, "submit")
        note(threading.Thread, "start")
        note(BaseDatabaseWrapper, "cursor")
        for name in ("send", "receive", "group_send", "group_add"):
            note(type(layer), name)
        yield found


async def half_a_thousand_frames(phone: Phone) -> None:
    """Ten seconds of the caller at once, and one second of the agent as it goes."""
    heard = len(phone.socket.sent)
    phone.talk(SOUND_MS)
    await until(phone.socket.inbound.empty)
    await until(lambda: len(phone.socket.sent) >= heard + 10)


async def test_frames_need_no_thread_no_database_and_no_channel_layer(phone, monkeypatch, tenant):
    for _ in range(2):  # a slow machine may write an event of the call in the midst of the first
        with counted(monkeypatch) as costs:
            await half_a_thousand_frames(phone)
        if not costs:
            break
    assert costs == []
    phone.stop()
    await phone.over()
    (kept,) = await until(lambda: run_in_tenant(tenant.id, _ready))
    with wave.open(str(kept), "rb") as file:
        assert file.getnframes() >= SOUND_MS * 8


def _ready() -> list[Path]:
    rows = Recording.objects.filter(state="ready")
    return [recordings_folder() / row.path for row in rows]


async def test_disk_that_hangs_holds_up_no_frame(phone, monkeypatch):
    """A frame is handed to the recordings' thread by being put into memory, whatever that does."""
    goes_on, stuck, write = threading.Event(), set[str](), recording._write_at

    def hang(*args: Any) -> None:
        stuck.add(threading.current_thread().name)
        goes_on.wait(30)
        write(*args)

    monkeypatch.setattr(recording, "_write_at", hang)
    try:
        phone.talk(100)
        await until(lambda: stuck)
        await half_a_thousand_frames(phone)
        assert stuck == {"recordings"}
    finally:
        goes_on.set()


@pytest.mark.parametrize("cost", ["thread", "bridge", "database"])
async def test_the_count_sees_what_a_frame_must_not_cost(phone, monkeypatch, tenant, cost):
    """What the first test would miss, this one tells."""
    take, tasks = TwilioMedia._take_text, set()

    def costly(media: TwilioMedia, text: str) -> Any:
        work = {
            "thread": lambda: asyncio.to_thread(str),
            "bridge": lambda: run_in_tenant(tenant.id, str),
            "database": lambda: run_in_tenant(tenant.id, Recording.objects.count),
        }[cost]()
        tasks.add(asyncio.ensure_future(work))
        return take(media, text)

    with counted(monkeypatch) as costs:
        monkeypatch.setattr(TwilioMedia, "_take_text", costly)
        phone.talk(20)
        await until(lambda: tasks)
        await asyncio.gather(*tasks)
        monkeypatch.setattr(TwilioMedia, "_take_text", take)
    names = {each.split(",")[0] for each in costs}
    assert names >= {"run_in_executor", "submit"} | ({"cursor"} if cost == "database" else set())
