"""The telephone connections of the simulated Telnyx, and who is at the other end of them."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from typing import Any

from calls.simulator.telnyx_stream import TelnyxStream


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever is at a number: what becomes of calling it.

    `hangup_cause` is Telnyx's word for not being answered. `keys` are pressed when asked for
    some; `detected` is what machine detection finds, and a machine's greeting then ends so.
    """

    hangup_cause: str = ""
    keys: str = "1"
    detected: str = "human_residence"
    greeting: str = "beep_detected"


@dataclass
class Leg:
    """One telephone connection at Telnyx."""

    direction: str
    from_number: str
    to_number: str
    session: str = field(default_factory=lambda: str(uuid.uuid4()))
    id: str = field(default_factory=lambda: f"v3:{uuid.uuid4().hex}")
    leg_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: str = "parked"
    client_state: str | None = None
    webhook_url: str = ""
    stream: TelnyxStream | None = None
    asked: dict[str, Any] = field(default_factory=dict)
    bridged_to: Leg | None = None
    playing: str = ""
    played: list[str] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    # Set once its first stream runs or could not be opened, or once it is over.
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_alive(self) -> bool:
        return self.state != "ended"

    def ids(self) -> dict[str, Any]:
        """What every webhook of the leg says."""
        state = {} if self.client_state is None else {"client_state": self.client_state}
        numbers = {"from": self.from_number, "to": self.to_number}
        return {
            "call_control_id": self.id,
            "call_leg_id": self.leg_id,
            "call_session_id": self.session,
            **numbers,
            **state,
        }
