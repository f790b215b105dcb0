"""Brings recordings from carriers into the folder of recordings."""

from __future__ import annotations

import asyncio
import logging
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from agents.brain.errors import BadRequest
from calls.carriers import dispatch
from calls.carriers.downloads import whole_file
from calls.models import Leg, Recording
from calls.providers.carriers.port import CarrierApi
from calls.recordings import recordings_folder
from calls.services.carrier_recordings import recording_fetched, recording_missing
from tenants.db import run_in_tenant

log = logging.getLogger(__name__)

MOST_BYTES = 512 * 1024 * 1024  # four hours of two channels at 8 kHz are 460 MB
# For all of it: a store that trickles must not keep a worker. Less than the time after which the
# recording is asked for again, and than a task may take.
MOST_SECONDS = 420.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A recording that is still at its carrier."""

    carrier: str
    account_id: int | None
    carrier_id: str
    path: Path


async def fetch(tenant_id: int, recording_id: int, url: str) -> None:
    """Bring it whole or not at all.

    Raises ProviderError for what may succeed later: the task tries again at once, and the sweeper
    for hours.
    """
    wanted = await run_in_tenant(tenant_id, _wanted, recording_id)
    if wanted is None:
        return
    api = dispatch.connect(await dispatch.account_of(tenant_id, wanted.carrier, wanted.account_id))
    try:
        await _save(api, wanted, url)
        await run_in_tenant(
            tenant_id, recording_fetched, recording_id=recording_id, path=wanted.path
        )
    except (BadRequest, wave.Error, EOFError) as error:
        log.error("recording %s is not to be had: %s", wanted.carrier_id, error)
        wanted.path.unlink(missing_ok=True)
        await run_in_tenant(tenant_id, recording_missing, recording_id=recording_id)
    except TimeoutError:  # the sweeper's to try again: a store that trickles has kept us enough
        log.warning("recording %s did not come in %g s", wanted.carrier_id, MOST_SECONDS)
    finally:
        await api.aclose()


def _wanted(recording_id: int) -> Wanted | None:
    row = (
        Recording.objects.select_related("call")
        .filter(pk=recording_id, state=Recording.State.RECORDING)
        .first()
    )
    if row is None:
        return None
    leg = Leg.objects.filter(call_id=row.call_id, role=Leg.Role.CUSTOMER).latest("pk")
    return Wanted(leg.carrier, leg.account_id, row.carrier_id, recordings_folder() / row.path)


async def _save(api: CarrierApi, wanted: Wanted, url: str) -> None:
    size = 0
    async with asyncio.timeout(MOST_SECONDS):
        with whole_file(wanted.path) as file:
            sound: AsyncIterator[bytes] = api.recording(wanted.carrier_id, url)
            async for piece in sound:
                size += len(piece)
                if size > MOST_BYTES:
                    raise BadRequest(wanted.carrier, f"it is larger than {MOST_BYTES} bytes")
                file.write(piece)
