"""What the text loop asks of a carrier that hears and speaks by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from calls.voice.ports import Brain, Clock, Closed, Dtmf, Store, TurnJudge


@dataclass(frozen=True, slots=True)
class Heard:
    """What the caller said. Only a `final` one is to be answered; others are guesses so far."""

    text: str
    language: str
    final: bool


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The caller broke in, and the carrier fell silent: `spoken` is what they had heard by then.

    `after_ms` counts from the beginning of what was said; None where the carrier does not tell.
    """

    spoken: str
    after_ms: float | None


@dataclass(frozen=True, slots=True)
class Spoken:
    """The caller has heard this much more."""

    text: str


@dataclass(frozen=True, slots=True)
class CallerSpeaks:
    """The caller began to speak, or fell silent; the words come later."""

    speaking: bool


TextEvent: TypeAlias = Heard | Interrupted | Spoken | CallerSpeaks | Dtmf | Closed


class TextStream(Protocol):
    """Both directions of one call's text.

    Iterating ends after `Closed`. What is said may take long on a half-dead socket: the loop
    bounds each by `TurnOptions.send_timeout`.
    """

    def __aiter__(self) -> AsyncIterator[TextEvent]: ...

    async def say(self, text: str, *, last: bool, interruptible: bool = True) -> None:
        """Have a piece of an answer spoken after those before it; `last` completes the answer.

        An answer that begins silences one that is still being spoken.
        """

    async def switch_language(self, language: str) -> None:
        """Hear and speak another language from now on, such as `es-MX`."""

    async def send_dtmf(self, digits: str) -> None:
        """Press keys towards the far end."""

    async def close(self) -> None:
        """Stop listening. Doing it twice is harmless."""


@dataclass(frozen=True, slots=True)
class TextPorts:
    """Everything one call in text is made of."""

    stream: TextStream
    brain: Brain
    judge: TurnJudge
    store: Store
    clock: Clock
