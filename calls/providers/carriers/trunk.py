"""A standing connection to a carrier that comes to nobody: we go there, and stay.

Most carriers call our webhooks and bring a leg's sound to our socket. One that has neither is
listened to and fetched from, by one process for each account (`calls.trunks`).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from calls.providers.carriers.port import CarrierApi
from calls.providers.carriers.signals import Signal
from calls.providers.carriers.stream import CallMedia


@dataclass(frozen=True, slots=True)
class KnownLeg:
    """A leg that was not over when it was last heard of."""

    leg: str
    incoming: bool
    answered: bool


def leg_name(party: str, command_id: uuid.UUID) -> str:
    """Our name of a leg that we placed, which the carrier calls `party`.

    It holds that of the command: a PBX that restarts counts anew.
    """
    return f"{party}.{command_id.hex[:8]}"


@dataclass(frozen=True, slots=True)
class Extension:
    """Somebody at a PBX whom a caller can be handed to: a telephone, or a queue of them."""

    number: str
    kind: str
    registered: bool
    busy: bool


@dataclass(frozen=True, slots=True)
class News:
    """Who is told what: signals of our own legs, and extensions that changed.

    Both are called on the event loop and must not block. `known` are the legs that the trunk
    begins with; those that are gone by then are told to have ended.
    """

    tell: Callable[[Signal], None]
    observe: Callable[[Extension], None] = lambda _extension: None
    known: Sequence[KnownLeg] = ()


class Trunk(Protocol):
    """One account's connection."""

    @property
    def api(self) -> CarrierApi:
        """Its commands, with all that only who listens to the carrier can do."""

    @property
    def problem(self) -> str:
        """Why nothing is heard of the carrier; empty while it is."""

    async def run(self) -> None:
        """Listen until cancelled, whatever becomes of the connection."""

    async def open(self, leg: str) -> CallMedia:
        """Fetch the sound of a connected leg. Raises LegGone and other ProviderErrors."""

    def pass_on(self, signal: Signal) -> None:
        """Bring an event to the sound of its leg, where that is open: keys, and the end."""

    async def aclose(self) -> None:
        """Close the connections."""
