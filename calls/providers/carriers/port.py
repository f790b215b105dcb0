"""What is asked of a carrier, in words that no carrier's own quirk shows through.

A carrier is a folder beside this file: its credentials, its commands (`CarrierApi`), how it
signs and words what it tells us, and its media stream. `registry.py` lists them.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol, TypeAlias

from agents.brain.errors import BadRequest, NetworkFailure, ProviderError
from calls.providers.carriers.signals import EndCause, MessageKind
from calls.providers.carriers.steps import Step

Interrupts: TypeAlias = Literal["any", "speech", "dtmf", "none"]


class Capability(StrEnum):
    """What a carrier may be able to do beyond taking a call."""

    OUTBOUND = "outbound"
    MACHINE_DETECTION = "machine_detection"
    TRANSFER = "transfer"
    WARM_TRANSFER = "warm_transfer"
    RECORDING = "recording"
    SMS = "sms"
    WHATSAPP = "whatsapp"
    RELAY = "relay"  # the carrier hears and speaks, and we exchange text


class MachineDetection(StrEnum):
    """What a carrier is to find out about a machine that answers."""

    OFF = "off"
    AT_ONCE = "at_once"  # that it is one, as soon as that can be told
    AFTER_GREETING = "after_greeting"  # and when it has greeted, so that it may be left a message


class Unsupported(ProviderError):
    """This carrier cannot do that at all; its `Capability` is missing."""


class NotReached(NetworkFailure):
    """No connection came about, so nothing was done."""


class LegGone(ProviderError):
    """The telephone connection that the command was for is over."""


class InVain(BadRequest):
    """The carrier did what it was told and reached nobody; `cause` says why."""

    def __init__(self, provider: str, message: str, cause: EndCause) -> None:
        super().__init__(provider, message)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Relay:
    """That the carrier is to hear and to speak, and how; empty fields are left to the carrier.

    `language` is what both sides begin in (`es`, `es-MX`). `interruptible` says what of the
    caller's silences the agent. `hints` are names and words that its recogniser should expect.
    """

    language: str
    voice: str = ""
    voice_provider: str = ""
    hearing_provider: str = ""
    interruptible: Interrupts = "any"
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StreamTarget:
    """Where a carrier brings a leg's sound, and what it hands over there.

    `parameters` come back in the stream's start message. `record` asks the carrier for a
    recording of its own. Carriers that tell of the stream, and ask what comes after it, do so at
    `signals_url`; `number` says there which of the call's streams it was. With a `relay` text
    goes to and fro there instead of sound.
    """

    url: str
    parameters: Mapping[str, str] = field(repr=False)  # a token among them
    record: bool = False
    signals_url: str = ""
    number: int = 1
    relay: Relay | None = None


@dataclass(frozen=True, slots=True)
class Dial:
    """Call somebody and bring the sound to us once it is answered.

    With `verdict_first` it is brought only once the carrier can tell who answered, which lets
    them wait for some seconds; without, that is told while the call goes on.
    `client_state` comes back with every signal of the leg, for carriers that do so.
    """

    to_number: str
    from_number: str
    stream: StreamTarget
    signals_url: str
    command_id: uuid.UUID
    ring_seconds: int = 30
    limit_seconds: int = 4 * 3600
    detect: MachineDetection = MachineDetection.OFF
    verdict_first: bool = False
    client_state: str = ""


@dataclass(frozen=True, slots=True)
class HoldMusic:
    """What a caller hears who waits: the WAV at `url`, so many `seconds` long."""

    url: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Handover:
    """Hand the caller of `leg` to a person.

    With a `briefing` the person hears it first and takes the call by pressing a key (a warm
    transfer); without, the two are joined as soon as the person picks up. The call has had
    `after` streams by then. With `music` a caller whom nobody talks to meanwhile hears that.
    """

    leg: str
    to_number: str
    caller_id: str
    signals_url: str
    command_id: uuid.UUID
    language: str
    ring_seconds: int = 25
    briefing: str = ""
    after: int = 0
    music: HoldMusic | None = None


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A written message. `template` names one approved for WhatsApp outside its 24 hours.

    A message repeated with its `command_id` is sent once, where the carrier can promise that.
    """

    kind: MessageKind
    to_number: str
    from_number: str
    text: str
    signals_url: str
    media: tuple[str, ...] = ()
    template: str = ""
    template_values: Mapping[str, str] = field(default_factory=dict)
    command_id: uuid.UUID = field(default_factory=uuid.uuid4)


@dataclass(frozen=True, slots=True)
class Media:
    """A file of a message, as it comes. `content_type` is the MIME type without parameters."""

    content_type: str
    pieces: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Checked:
    """What "check connection" found: the account's own name, and each thing that is wrong."""

    account: str
    problems: tuple[str, ...] = ()


class CarrierApi(Protocol):
    """One account at one carrier. Connections are kept open between commands.

    Every method raises a ProviderError by its cause; `LegGone` where the leg is over,
    `Unsupported` for what the carrier has not. A command repeated with its `command_id` is
    done once, where the carrier can promise that; a caller must not repeat others blindly.
    """

    async def place(self, dial: Dial) -> str:
        """Call somebody; the carrier's id of the new leg."""

    async def answer(self, leg: str, stream: StreamTarget, command_id: uuid.UUID) -> None:
        """Pick up an incoming leg and bring its sound to us."""

    async def reattach(self, leg: str, stream: StreamTarget, command_id: uuid.UUID) -> None:
        """Bring a live leg's sound to us again after its stream was lost."""

    async def refuse(self, leg: str, command_id: uuid.UUID, *, busy: bool) -> None:
        """Turn an incoming leg away without answering it."""

    async def say_and_hang_up(
        self, leg: str, text: str, language: str, command_id: uuid.UUID
    ) -> None:
        """Let the carrier's own voice say a last word, where ours cannot."""

    async def hang_up(self, leg: str, command_id: uuid.UUID) -> None:
        """End a leg. One that is over already is no error."""

    async def hand_over(self, handover: Handover) -> None:
        """Hand the caller to a person; signals tell how that goes on."""

    async def send_dtmf(self, leg: str, keys: str, command_id: uuid.UUID) -> None:
        """Press keys towards the other side."""

    async def send_message(self, message: OutgoingMessage) -> str:
        """Send a written message; the carrier's id of it."""

    def media(self, url: str) -> AbstractAsyncContextManager[Media]:
        """A file of a message that the carrier told of. Raises BadRequest for others' addresses."""

    def recording(self, recording_id: str, url: str) -> AsyncIterator[bytes]:
        """The bytes of a recording (WAV), fetched anew if its address has expired."""

    async def check(self) -> Checked:
        """Ask who we are there. Raises only what is not the account's fault."""

    async def take(self, step: Step) -> None:
        """Do what an event called for by itself (`Carrier.steps`)."""

    async def aclose(self) -> None:
        """Close the connections."""
