"""Recordings that a carrier made: fetched while their address lives, kept beside ours."""

from __future__ import annotations

import wave
from datetime import datetime, timedelta
from pathlib import Path

from django.db import transaction

from calls.models import Call, Recording
from calls.recordings import carrier_recording_path

# A recording that was told of so long ago and is not here was lost with who fetched it.
OVERDUE = timedelta(minutes=5)
GIVE_UP_AFTER = timedelta(hours=6)
_RATES = (8000, 48000)  # Hz


def recording_expect(*, call: Call, recording_id: str, url: str) -> None:
    """Note that the carrier has a recording of the call, and have it fetched."""
    row, created = Recording.objects.get_or_create(
        call=call,
        source=Recording.Source.CARRIER,
        carrier_id=recording_id[:200],
        defaults={"path": carrier_recording_path(call, recording_id), "sample_rate": 0},
    )
    if created:
        _fetch_on_commit(row, url)


def recordings_overdue(*, now: datetime) -> None:
    """Ask again for what was not fetched; give up on what has been tried for hours."""
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
        rate, frames = file.getframerate(), file.getnframes()
    if not _RATES[0] <= rate <= _RATES[1]:
        raise wave.Error(f"{rate} Hz is no telephone's")
    Recording.objects.filter(pk=recording_id).update(
        state=Recording.State.READY,
        sample_rate=rate,
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
