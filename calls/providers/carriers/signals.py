"""What carriers tell us, whichever way each of them says it.

A signal is a fact with an identity: the same fact told twice has the same `event_id`. Facts may
come late and in any order; `calls.providers.carriers.legs` makes one picture out of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

TELEPHONE_RATE = 8000  # Hz
LONGEST_ID = 200  # characters; ids cut short could be taken for one another
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


class EndCause(StrEnum):
    """Why a leg is over, in words that every carrier's own can be put into."""

    COMPLETED = "completed"  # it was answered, and somebody hung up
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    CANCELLED = "cancelled"  # given up by who had dialled, before an answer
    FAILED = "failed"  # the network or the carrier could not do it
    UNKNOWN_NUMBER = "unknown_number"


class Answerer(StrEnum):
    """Who or what picked up, as far as a carrier can tell."""

    HUMAN = "human"
    MACHINE = "machine"
    FAX = "fax"
    UNKNOWN = "unknown"


class MessageKind(StrEnum):
    """The two kinds of written message that carriers pass on."""

    SMS = "sms"
    WHATSAPP = "whatsapp"


class MessageState(StrEnum):
    """How far a message of ours has come."""

    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


class MalformedEvent(Exception):
    """What came under a carrier's signature is not what its protocol promises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a carrier sent, with its identity and nothing made of it yet.

    `kind` says by which rules `payload` is read; `account` is the carrier's name for ours, and
    `leg` for the telephone connection, or `message` for the written message. `session` joins the
    legs of one call, for carriers that have such an id. `at` is the carrier's clock, or ours
    where it tells no time. Raises MalformedEvent for an identity that cannot be kept.
    """

    event_id: str
    kind: str
    account: str
    leg: str
    at: datetime
    payload: Mapping[str, Any]
    session: str = ""
    message: str = ""

    def __post_init__(self) -> None:
        for name in ("event_id", "leg", "session", "message"):
            text = getattr(self, name)
            if len(text) > LONGEST_ID or "\x00" in text:
                raise MalformedEvent(f"{name} {text[:40]!r} is no carrier's id")
        if not _EARLIEST < self.at < _LATEST:
            raise MalformedEvent(f"{self.at} is not a time of now")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One fact.

    `event_id` is unique within the carrier and never empty. `leg` is the carrier's id of the
    telephone connection, empty for messages. `at` is the carrier's clock, with a time zone.
    `order` counts within the leg, for carriers that count; it goes before `at`.
    """

    event_id: str
    leg: str
    at: datetime
    order: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ringing(Signal):
    """A leg is there: somebody calls us, or the called one's telephone rings.

    `session` joins the legs of one call, for carriers that have such an id. Numbers are as the
    carrier writes them. Its stream will have this `sample_rate` (Hz), as far as can be told yet.
    """

    incoming: bool
    from_number: str
    to_number: str
    session: str = ""
    client_state: str = ""
    sample_rate: int = TELEPHONE_RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Signal):
    """Somebody or something picked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended(Signal):
    """The leg is over. `detail` is the carrier's own word for why."""

    cause: EndCause
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected(Signal):
    """Who picked up. `may_speak`: the machine has beeped, a message may be left now.

    `greeted`: its greeting is over; a beep may come yet, or none will.
    """

    answerer: Answerer
    may_speak: bool = False
    greeted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysPressed(Signal):
    """Keys that came beside the media stream, or that were gathered from a person."""

    keys: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStarted(Signal):
    """The carrier has opened the leg's media stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStopped(Signal):
    """The media stream is over; the leg may live on. `failure` is empty in good order."""

    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridged(Signal):
    """The leg is joined to another one: two people talk, and the agent is out."""

    other_leg: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoverEnded(Signal):
    """What became of handing the caller to a person; `leg` is the caller's.

    `reached`: they have talked. If not, `cause` says why, and the agent takes the caller back.
    """

    reached: bool
    cause: EndCause
    person_leg: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingReady(Signal):
    """A recording can be fetched from `url`, until `expires_at` where that is limited.

    `session` finds the call where a carrier tells no leg.
    """

    recording_id: str
    url: str
    channels: int
    seconds: float | None = None
    expires_at: datetime | None = None
    session: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFailed(Signal):
    """There will be no recording; `reason` is the carrier's word."""

    recording_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived(Signal):
    """Somebody wrote. `media` are addresses of pictures and the like, at the carrier."""

    message_id: str
    kind: MessageKind
    from_number: str
    to_number: str
    text: str
    media: tuple[str, ...] = ()
    sender_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageMoved(Signal):
    """A message of ours has come so far. `error` is the carrier's code and word for a failure."""

    message_id: str
    state: MessageState
    error: str = ""
