"""Who is on the line at a PBX: parties with their sound both ways, and telephones that ring."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from calls.simulator.playout import Coding, PlayoutBuffer

PCM_8K = Coding(8000, b"\0\0")
FRAME_BYTES = 320  # 20 ms
_FRAMES_KEPT = 500

Json = dict[str, Any]


@dataclass(slots=True, eq=False)
class Party:
    """One participant at a DN. `played` is what this side heard of what was posted."""

    id: int
    dn: str
    status: str
    call: int
    number: str = ""
    name: str = ""
    dialled: str = ""
    began_here: bool = False
    kind: str = "Wexternalline"
    played: PlayoutBuffer = field(default_factory=lambda: PlayoutBuffer(PCM_8K))
    frames: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(_FRAMES_KEPT))
    left: asyncio.Event = field(default_factory=asyncio.Event)
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    on_sound: Callable[[bytes], None] = lambda _pcm: None
    most_ahead: float = 0.0  # seconds; the greatest lead over real time ever
    listening: int = 0  # open GETs
    speaking: int = 0  # open POSTs
    routed_to: str = ""

    def connect(self) -> None:
        """The two sides talk from now on."""
        self.status = "Connected"
        self.connected.set()

    def say(self, pcm: bytes) -> None:
        """Sound of this party, for the GET; what nobody fetches is lost."""
        if not self.frames.full():
            self.frames.put_nowait(pcm)

    def hear(self, pcm: bytes) -> None:
        """Sound that was posted."""
        now = time.monotonic()
        self.played.receive(now, pcm)
        self.most_ahead = max(self.most_ahead, self.played.plays_until - now)
        self.on_sound(pcm)

    def as_json(self) -> Json:
        """A participant, with all its fields."""
        own = self.dn if self.began_here else ""
        return {
            "id": self.id, "status": self.status, "dn": self.dn,
            "party_caller_name": self.name, "party_dn": "10001",
            "party_caller_id": self.number, "party_did": self.dialled,
            "device_id": "", "party_dn_type": self.kind, "direct_control": True,
            "originated_by_dn": own, "originated_by_type": "Wroutepoint" if own else "None",
            "referred_by_dn": "", "referred_by_type": "None",
            "on_behalf_of_dn": "", "on_behalf_of_type": "None",
            "callid": self.call, "legid": 1,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Telephone:
    """How somebody who is called behaves: picks up after so many seconds, or fails by `reason`."""

    picks_up_after: float = 0.05
    reason: str = ""


@dataclass(slots=True)
class Dn:
    """An extension, a queue or a route point."""

    dn: str
    kind: str
    devices: tuple[str, ...] = ()
    parties: dict[int, Party] = field(default_factory=dict)

    def as_json(self) -> Json:
        """A DN state."""
        return {
            "dn": self.dn,
            "type": self.kind,
            "devices": [self.device(each) for each in self.devices],
            "participants": [party.as_json() for party in self.parties.values()],
        }

    def device(self, device: str) -> Json:
        return {"dn": self.dn, "device_id": device, "user_agent": "stand-in"}
