"""What a carrier asks us with its requests, and what it is told.

Only carriers that ask need this; the others get commands. The questions are read and the answers
written in the carrier's own folder; what to answer is decided outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from calls.providers.carriers.port import HoldMusic, StreamTarget
from calls.providers.carriers.signals import Event

# --- questions ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WhoAnswers:
    """Somebody calls: who takes it?"""

    from_number: str
    to_number: str


@dataclass(frozen=True, slots=True)
class WhoIsThere:
    """A call of ours is answered, and it is known by whom: what does the agent do?"""


@dataclass(frozen=True, slots=True)
class AfterStream:
    """A socket is closed and the caller is there: what next?

    It is asked `after` so many streams (None: not told). `unable`: the carrier itself could not
    hear and speak.
    """

    after: int | None
    unable: bool = False


@dataclass(frozen=True, slots=True)
class AfterPerson:
    """Calling a person for the caller is over, and nobody took them: what next?"""

    after: int | None


@dataclass(frozen=True, slots=True)
class Settled:
    """The carrier asks, and what it does next follows from what it told."""

    answer: Answer


Question = WhoAnswers | WhoIsThere | AfterStream | AfterPerson | Settled


# --- answers ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connect:
    """Bring the call's sound, or its text, to `target`; `last_words` are for when that fails."""

    target: StreamTarget
    last_words: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Let the caller wait to music, then ask again.

    An order is on its way meanwhile: the `handover` of that id, or another stream. `signals_url`
    is asked, and told after how many `streams`.
    """

    music: HoldMusic
    seconds: int
    signals_url: str
    streams: int
    handover: str = ""


@dataclass(frozen=True, slots=True)
class PutThrough:
    """Ring a person, showing them the number `shown`, and join them; then ask again."""

    number: str
    shown: str
    signals_url: str
    streams: int


@dataclass(frozen=True, slots=True)
class LastWord:
    """Say this, then hang up."""

    text: str
    language: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call without a word."""


@dataclass(frozen=True, slots=True)
class Join:
    """Bring a person together with the caller who waits for them in that `room`."""

    room: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is nothing to do; the carrier wants a document all the same."""


Answer = Connect | Wait | PutThrough | LastWord | HangUp | Join | Nothing


@dataclass(frozen=True, slots=True)
class Asking:
    """How a carrier asks: what an event of it asks, if anything, and how it is answered."""

    question: Callable[[Event], Question | None]
    write: Callable[[Answer], str]
    content_type: str
