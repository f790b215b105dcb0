"""Recordings are brought from carriers whole, or not at all, whatever comes instead of one."""

from __future__ import annotations

import asyncio
import io
import wave

import pytest

from calls import fetching
from calls.models import Leg, Recording
from calls.recordings import recordings_folder
from tenants.db import run_in_tenant, tenant_transaction
from tests.rows import make_row

pytestmark = pytest.mark.django_db(transaction=True)


def sound(rate: int = 8000) -> bytes:
    """A second of silence."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate or 1)
        writer.writeframes(bytes(16_000))
    whole = file.getvalue()
    return whole if rate else whole[:24] + bytes(4) + whole[28:]


class Store:
    """A carrier that has one recording, and may never come to its end."""

    def __init__(self, content: bytes, *, hangs: bool = False) -> None:
        self.content, self.hangs = content, hangs

    async def recording(self, _recording_id, _url):
        yield self.content
        if self.hangs:
            await asyncio.Event().wait()

    async def aclose(self):
        pass


@pytest.fixture
def fetched(tenant, settings, tmp_path, monkeypatch):
    settings.MEDIA_ROOT = tmp_path
    with tenant_transaction(tenant.id):
        leg = make_row(Leg, carrier="twilio", carrier_id="CA1")
        row = make_row(
            Recording, call=leg.call, source="carrier", carrier_id="RE1", state="recording",
            path="a/b.wav",
        )  # fmt: skip

    async def fetch(store):
        monkeypatch.setattr(fetching.dispatch, "connect", lambda _account: store)
        await fetching.fetch(tenant.id, row.pk, "")
        found = await run_in_tenant(tenant.id, Recording.objects.get, pk=row.pk)
        return found, [path for path in recordings_folder().rglob("*") if path.is_file()]

    return fetch


async def test_a_recording_is_measured(fetched):
    row, files = await fetched(Store(sound()))
    assert (row.state, row.sample_rate, row.duration_ms) == ("ready", 8000, 1000)
    assert [path.name for path in files] == ["b.wav"]


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", sound()[:30], sound(rate=0), sound(rate=1)],
    ids=["nothing", "a page", "cut", "no rate", "odd rate"],
)
async def test_what_is_no_recording_is_missing_and_leaves_nothing(fetched, content):
    row, files = await fetched(Store(content))
    assert (row.state, files) == ("missing", [])


async def test_more_than_a_call_can_be_is_not_taken(fetched, monkeypatch):
    monkeypatch.setattr(fetching, "MOST_BYTES", 1000)
    row, files = await fetched(Store(sound()))
    assert (row.state, files) == ("missing", [])


async def test_a_store_that_never_ends_is_left_and_asked_again_later(fetched, monkeypatch):
    monkeypatch.setattr(fetching, "MOST_SECONDS", 0.05)
    row, files = await fetched(Store(sound(), hangs=True))
    assert (row.state, files) == ("recording", [])
