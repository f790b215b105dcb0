"""What is told of a call, on its way from the store through the writer to the services."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from calls.voice.ports import Turn

HANDED_OVER = "handed_over"  # the event of another agent's going on with a call


@dataclass(frozen=True, slots=True)
class CallRef:
    """Which call, and whose."""

    tenant_id: int
    id: int
    public_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event on its way to `CallEvent`."""

    sequence: int
    at: float
    name: str
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class TurnRow:
    """A turn on its way to `Utterance`."""

    sequence: int
    turn: Turn


@dataclass(frozen=True, slots=True)
class Closing:
    """The end of a call on its way to `Call`; `stream` is which of its streams has ended.

    With a `briefing` whoever gets the caller hears it first, and may decline.
    """

    reason: str
    ended_at: datetime
    transfer_to: str = ""
    briefing: str = ""
    stream: int | None = None
    providers: Mapping[str, str] = field(default_factory=dict)


Item: TypeAlias = EventRow | TurnRow | Closing
