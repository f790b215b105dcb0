"""Recordings are brought from carriers whole, or not at all, whatever comes instead of one."""

from __future__ import annotations

import asyncio
import io
import wave

import pytest
from django.conf import settings as project

from calls import tasks
from calls.carriers import fetching, message_files
from calls.carriers.downloads import claimed, whole_file
from calls.models import Leg, Recording
from calls.recordings import recordings_folder
from calls.services import message_files as file_services
from calls.services.carrier_recordings import OVERDUE
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


def test_a_download_is_over_before_it_is_asked_for_again_and_before_its_task_is_ended():
    limit = project.CELERY_TASK_SOFT_TIME_LIMIT
    assert fetching.MOST_SECONDS < OVERDUE.total_seconds() < limit
    assert message_files.MOST_SECONDS < file_services.RETRY_AFTER.total_seconds() < limit


def test_what_another_worker_is_bringing_is_left_to_it(tenant, monkeypatch):
    brought = []

    async def fetch(_tenant_id, pk, *_url):
        brought.append(pk)

    def ask():
        tasks.fetch_recording(tenant.id, 1, "")
        tasks.fetch_message_file(tenant.id, 1)

    monkeypatch.setattr(tasks, "fetch", fetch)
    monkeypatch.setattr(message_files, "fetch", fetch)
    with claimed("recording:1", seconds=1), claimed("message-file:1", seconds=1):
        ask()
    assert brought == []
    ask()
    assert brought == [1, 1]


def test_a_claim_is_free_again_once_its_holder_has_failed():
    with pytest.raises(OSError, match="gone"), claimed("a", seconds=1):
        raise OSError("gone")
    with claimed("a", seconds=1) as second, claimed("a", seconds=1) as third:
        assert (second, third) == (True, False)


def test_two_threads_that_write_one_file_do_not_write_into_each_others(tmp_path):
    path = tmp_path / "a" / "b.wav"
    with whole_file(path) as one:
        with whole_file(path) as other:
            one.write(b"one")
            other.write(b"other")
        assert path.read_bytes() == b"other"
    assert path.read_bytes() == b"one"
    assert list(path.parent.iterdir()) == [path]
