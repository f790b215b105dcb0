"""What the PBX tells of its extensions and of who is on the line there (threecx.md, 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ROUTE_POINT = "Wroutepoint"
_PEOPLE = frozenset({"Wextension", "Wqueue"})

RINGING, DIALING, CONNECTED = "Ringing", "Dialing", "Connected"


@dataclass(frozen=True, slots=True)
class Participant:
    """One party of one call at one DN. `status` is the PBX's own word."""

    id: str
    call: str
    dn: str
    status: str
    party_name: str = ""
    party_number: str = ""
    party_dn: str = ""
    dialled: str = ""
    originated_by: str = ""

    @property
    def leg(self) -> str:
        """How we name this connection: its call's id tells apart what reuses its own."""
        return f"{self.id}.{self.call}"

    @property
    def is_ours(self) -> bool:
        """Whether the DN itself began the call."""
        return self.status == DIALING or bool(self.dn and self.originated_by == self.dn)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Participant:
        """Raises ValueError for what has no id."""
        if data.get("id") in (None, ""):
            raise ValueError("a participant without an id")
        return cls(
            id=str(data["id"]),
            call=_text(data, "callid"),
            dn=_text(data, "dn"),
            status=_text(data, "status"),
            party_name=_text(data, "party_caller_name"),
            party_number=_text(data, "party_caller_id"),
            party_dn=_text(data, "party_dn"),
            dialled=_text(data, "party_did"),
            originated_by=_text(data, "originated_by_dn"),
        )


def participant_of(leg: str) -> str:
    """The participant's id in the name of a leg."""
    return leg.partition(".")[0]


@dataclass(frozen=True, slots=True)
class DnState:
    """One DN: its devices' ids, and who is on the line there."""

    dn: str
    kind: str
    devices: tuple[str, ...] = ()
    participants: tuple[Participant, ...] = ()

    @property
    def is_route_point(self) -> bool:
        return self.kind == ROUTE_POINT

    @property
    def is_reachable_person(self) -> bool:
        """An extension or a queue: somebody whom a caller can be handed to."""
        return self.kind in _PEOPLE

    @property
    def is_registered(self) -> bool:
        """There is a device that could ring."""
        return bool(self.devices)

    @property
    def is_busy(self) -> bool:
        """Somebody talks, rings or dials there."""
        return bool(self.participants)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> DnState:
        """Raises ValueError for what has no DN."""
        if not data.get("dn"):
            raise ValueError("a DN state without a DN")
        devices = (_text(device, "device_id") for device in _items(data, "devices"))
        return cls(
            dn=str(data["dn"]),
            kind=_text(data, "type"),
            devices=tuple(device for device in devices if device),
            participants=tuple(map(Participant.read, _items(data, "participants"))),
        )


def _items(data: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    items = data.get(name)
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    return "" if value is None else str(value)
