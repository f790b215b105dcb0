"""Where recordings are kept. Nothing in that folder is ever served without asking."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from calls.models import Call


def recordings_folder() -> Path:
    """The folder of all recordings; web, media and worker processes share it."""
    return Path(settings.MEDIA_ROOT) / "recordings"


def recording_path(call: Call) -> str:
    """A call's place inside that folder, by tenant and day."""
    return f"{call.tenant.public_id}/{call.started_at:%Y/%m/%d}/{call.public_id}.wav"
