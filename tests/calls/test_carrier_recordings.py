"""What carriers tell of their recordings: when one is fetched, from where, and how often."""

from __future__ import annotations

from datetime import timedelta

import pytest
from celery.exceptions import Retry
from django.utils import timezone

from agents.brain.errors import NetworkFailure
from calls import tasks
from calls.models import Leg, Recording
from calls.providers.carriers.signals import RecordingFailed, RecordingReady
from calls.services.carrier_signals import _react
from tenants.db import tenant_transaction
from tests.calls.test_pickups import telephone

URL = "https://store.example/r-1.wav"


@pytest.fixture
def leg(desk):
    return telephone(desk)[1]


@pytest.fixture
def asked(monkeypatch):
    """The addresses that recordings are to be fetched from."""
    urls = []
    monkeypatch.setattr(tasks.fetch_recording, "delay", lambda *args: urls.append(args[2]))
    return urls


@pytest.fixture
def hear(leg, django_capture_on_commit_callbacks):
    """The leg's carrier tells these, one after the other; the recordings' states after that."""

    def told(*signals):
        with django_capture_on_commit_callbacks(execute=True), tenant_transaction(leg.tenant_id):
            row = Leg.objects.select_related("call").get(pk=leg.pk)
            for signal in signals:
                _react(row, signal)
            return list(Recording.objects.values_list("carrier_id", "state"))

    return told


def ready(*, lives=timedelta(minutes=10), recording_id="r-1"):
    now = timezone.now()
    return RecordingReady(
        event_id="e-1", leg="leg", at=now, recording_id=recording_id, url=URL, channels=2,
        expires_at=now + lives,
    )  # fmt: skip


def failed(recording_id="r-1"):
    return RecordingFailed(
        event_id="e-2", leg="leg", at=timezone.now(), recording_id=recording_id, reason="absent"
    )


@pytest.mark.django_db
def test_recording_is_fetched_once_from_the_address_that_was_told(hear, asked):
    assert hear(ready(), ready()) == [("r-1", "recording")]
    assert asked == [URL]


@pytest.mark.django_db
def test_address_that_has_expired_is_not_asked(hear, asked):
    hear(ready(lives=timedelta(seconds=-1)))
    assert asked == [""]


@pytest.mark.django_db
def test_recording_that_failed_is_missing_and_not_asked_for(hear, asked, caplog):
    assert hear(failed()) == [("r-1", "missing")]
    assert asked == []
    assert "not recorded by its carrier: absent" in caplog.text


@pytest.mark.django_db
@pytest.mark.parametrize("order", [(ready, failed), (failed, ready)])
def test_recording_that_is_there_is_fetched_whatever_else_was_told_of_it(hear, asked, order):
    assert hear(*(tell() for tell in order)) == [("r-1", "recording")]
    assert asked == [URL]


def test_fetch_that_fails_is_tried_again_by_its_task(monkeypatch):
    async def fetch(*_asked):
        raise NetworkFailure("telnyx", "the store broke off")

    monkeypatch.setattr(tasks, "fetch", fetch)
    with pytest.raises(Retry, match="broke off"):
        tasks.fetch_recording.apply(args=(1, 2, URL))
