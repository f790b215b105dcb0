"""Where recordings are kept. Nothing in that folder is ever served without asking."""

from __future__ import annotations

import hashlib
from pathlib import Path

from django.conf import settings

from calls.models import Call


def recordings_folder() -> Path:
    """The folder of all recordings; web, media and worker processes share it."""
    return Path(settings.MEDIA_ROOT) / "recordings"


def recording_path(call: Call) -> str:
    """A call's place inside that folder, by tenant and day."""
    return f"{call.tenant.public_id}/{call.started_at:%Y/%m/%d}/{call.public_id}.wav"


def carrier_recording_path(call: Call, recording_id: str) -> str:
    """The place of a recording that the carrier made, beside ours."""
    name = hashlib.sha256(recording_id.encode()).hexdigest()[:16]
    return recording_path(call).removesuffix(".wav") + f".{name}.wav"
