"""A command that follows from a webhook or from a call's start by itself."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Have a live leg recorded, and the recording told of at the address `back`.
RECORD = "record"


@dataclass(frozen=True, slots=True)
class Step:
    """One command: `action` at `leg` with `arguments`, which may be stored as JSON."""

    leg: str
    action: str
    arguments: Mapping[str, Any]
    command_id: uuid.UUID
