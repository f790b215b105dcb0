"""Recordings that a carrier made: fetched while their address lives, kept beside ours."""

from __future__ import annotations

import logging
import wave
from datetime import datetime, timedelta
from pathlib import Path

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from calls.carriers.installation import installation_records
from calls.carriers.links import signals_url
from calls.models import Call, Command, Direction, Leg, Recording
from calls.providers.carriers.registry import carrier
from calls.providers.carriers.signals import RecordingFailed, RecordingReady
from calls.providers.carriers.steps import RECORD
from calls.recordings import carrier_recording_path
from calls.services.commands import command_give

log = logging.getLogger(__name__)

# A recording that was told of so long ago and is not here was lost with who fetched it.
OVERDUE = timedelta(minutes=8)
GIVE_UP_AFTER = timedelta(hours=6)
_RATES = (8000, 48000)  # Hz


def recording_order(*, call: Call) -> None:
    """Have a call that was just answered recorded, where its account wants that.

    Others ask for it in the order to dial or to answer; the answer to a carrier that asks who
    takes an incoming call has no place for it.
    """
    if call.direction != Direction.INBOUND or not carrier(call.channel).asks_who_answers:
        return
    wanted = Q(account__record_calls=True)
    if installation_records(call.channel):
        wanted |= Q(account=None)
    for leg in Leg.objects.filter(wanted, call=call, role=Leg.Role.CUSTOMER):
        back = signals_url(leg.carrier, call.public_id)
        command_give(
            leg=leg,
            kind=Command.Kind.STEP,
            reason=RECORD,
            arguments={"action": RECORD, "arguments": {"back": back}},
        )


def recording_expect(*, call: Call, told: RecordingReady) -> None:
    """Note that the carrier has a recording of the call, and have it fetched.

    It may have been said before that there would be none: what is there counts. An address
    that has expired by now is not worth asking.
    """
    row, created = _row(call, told.recording_id, Recording.State.RECORDING)
    if row.state == Recording.State.MISSING:
        row.state = Recording.State.RECORDING
        row.save(update_fields=["state", "updated_at"])
    elif not created:
        return
    expired = told.expires_at is not None and told.expires_at <= timezone.now()
    _fetch_on_commit(row, "" if expired else told.url)


def recording_failed(*, call: Call, told: RecordingFailed) -> None:
    """Note that the carrier has no recording of the call where one was to be."""
    log.warning("call %s was not recorded by its carrier: %s", call.public_id, told.reason)
    _row(call, told.recording_id, Recording.State.MISSING)


def _row(call: Call, recording_id: str, state: Recording.State) -> tuple[Recording, bool]:
    """The recording of that name, and whether it is new; one that is not keeps its state."""
    row: Recording
    row, created = Recording.objects.get_or_create(
        call=call,
        source=Recording.Source.CARRIER,
        carrier_id=recording_id[:200],
        defaults={
            "path": carrier_recording_path(call, recording_id),
            "sample_rate": 0,
            "state": state,
        },
    )
    return row, created


def recordings_overdue(*, now: datetime) -> None:
    """Ask again for what was not fetched; give up on what has been tried for hours.

    The address that was told has most likely expired: the carrier is asked for another.
    """
    waiting = Recording.objects.filter(
        source=Recording.Source.CARRIER,
        state=Recording.State.RECORDING,
        updated_at__lt=now - OVERDUE,
    )
    waiting.filter(created_at__lt=now - GIVE_UP_AFTER).update(state=Recording.State.MISSING)
    for row in waiting.filter(state=Recording.State.RECORDING)[:100]:
        row.save(update_fields=["updated_at"])
        _fetch_on_commit(row, "")


def recording_fetched(*, recording_id: int, path: Path) -> None:
    """The file is here: read what it is. Raises wave.Error and EOFError for what is none."""
    with wave.open(str(path)) as file:
        rate, frames, channels = file.getframerate(), file.getnframes(), file.getnchannels()
    if not _RATES[0] <= rate <= _RATES[1]:
        raise wave.Error(f"{rate} Hz is no telephone's")
    Recording.objects.filter(pk=recording_id).update(
        state=Recording.State.READY,
        sample_rate=rate,
        channels=channels,
        duration_ms=frames * 1000 // rate,
        size_bytes=path.stat().st_size,
    )


def recording_missing(*, recording_id: int) -> None:
    """The carrier has it no more."""
    Recording.objects.filter(pk=recording_id).update(state=Recording.State.MISSING)


def _fetch_on_commit(row: Recording, url: str) -> None:
    from calls.tasks import fetch_recording

    tenant_id, pk = row.tenant_id, row.pk
    transaction.on_commit(lambda: fetch_recording.delay(tenant_id, pk, url), robust=True)
