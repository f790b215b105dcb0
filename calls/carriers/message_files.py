"""Brings what comes with messages from carriers: pictures, sound, documents.

Only of kinds that are known, and no larger than carriers send them. Whoever downloads one gets it
as a file to save, whatever is in it.
"""

from __future__ import annotations

import asyncio
import logging
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from pydantic import ValidationError

from agents.brain.errors import BadRequest, ProviderError
from calls.carriers import dispatch
from calls.carriers.downloads import whole_file
from calls.models import MessageFile
from calls.providers.carriers.port import CarrierApi, Media, Unsupported
from calls.services.message_files import (
    message_file_delayed,
    message_file_fetched,
    message_file_missing,
)
from tenants.db import run_in_tenant
from tenants.sealing import CannotUnseal

log = logging.getLogger(__name__)

MOST_BYTES = 16 * 1024 * 1024  # WhatsApp's largest but for documents; an MMS is far smaller
MOST_SECONDS = 120.0  # for all of it: a store that trickles must not keep a worker
TAKEN = frozenset(
    {
        "application/pdf", "audio/aac", "audio/amr", "audio/mp4", "audio/mpeg", "audio/ogg",
        "image/gif", "image/jpeg", "image/png", "image/webp", "text/plain", "text/vcard",
        "video/3gpp", "video/mp4",
    }
)  # fmt: skip
_UNSAID = frozenset({"", "application/octet-stream", "binary/octet-stream"})


class NotTaken(Exception):
    """The file is of a kind or a size that is not kept."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that is still at its carrier."""

    carrier: str
    account_id: int | None
    url: str
    path: Path


def file_path(file: MessageFile) -> Path:
    """Its place in the folder of media, by tenant and day; never served without asking."""
    day = file.created_at
    folder = Path(settings.MEDIA_ROOT) / "messages" / str(file.tenant.public_id)
    return folder / f"{day:%Y/%m/%d}" / str(file.public_id)


async def fetch(tenant_id: int, file_id: int) -> None:
    """Bring it whole or not at all."""
    wanted = await run_in_tenant(tenant_id, _wanted, file_id)
    if wanted is None:
        return
    try:
        account = await dispatch.account_of(tenant_id, wanted.carrier, wanted.account_id)
        kind, size = await _save(await dispatch.connected(account), wanted)
    except (NotTaken, BadRequest, Unsupported, CannotUnseal, ValidationError) as error:
        log.warning("file %s of a message is not to be had: %s", file_id, error)
        await run_in_tenant(tenant_id, message_file_missing, file_id=file_id, fault=str(error))
    except (ProviderError, TimeoutError) as error:
        log.warning("file %s of a message cannot be had now: %s", file_id, error)
        await run_in_tenant(tenant_id, message_file_delayed, file_id=file_id, fault=str(error))
    else:
        await run_in_tenant(
            tenant_id, message_file_fetched, file_id=file_id, content_type=kind, size_bytes=size
        )


def _wanted(file_id: int) -> Wanted | None:
    file = (
        MessageFile.objects.select_related("message", "tenant")
        .filter(pk=file_id, state=MessageFile.State.WAITING)
        .first()
    )
    if file is None:
        return None
    message = file.message
    return Wanted(message.carrier, message.account_id, message.media[file.place], file_path(file))


async def _save(api: CarrierApi, wanted: Wanted) -> tuple[str, int]:
    """Its content type and its size in bytes. Raises NotTaken and ProviderError."""
    size = 0
    async with asyncio.timeout(MOST_SECONDS), api.media(wanted.url) as media:
        kind = _kind(media, wanted.url)
        with whole_file(wanted.path) as file:
            async for piece in media.pieces:
                size += len(piece)
                if size > MOST_BYTES:
                    raise NotTaken(f"it is larger than {MOST_BYTES} bytes")
                file.write(piece)
    return kind, size


def _kind(media: Media, url: str) -> str:
    kind = media.content_type
    if kind in _UNSAID:
        kind = mimetypes.guess_type(urlsplit(url).path)[0] or ""
    if kind not in TAKEN:
        raise NotTaken(f"{kind or 'an unknown type'} is not taken")
    return kind
