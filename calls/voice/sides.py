"""What the floor asks of its ears and its mouth, and a reply of its voice.

The floor does not know whether there is sound between it and the caller (`hearing`, `playout`,
`speaker`), or text, because the carrier hears and speaks by itself (`text`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from calls.voice.metrics import TurnMetrics
from calls.voice.phrases import Phrases
from calls.voice.speaker import SpeakerOwner
from calls.voice.track import Track


class Ears(Protocol):
    """What is known of the caller's speech at this moment."""

    @property
    def speaking(self) -> bool:
        """The caller speaks, or has not been silent for long enough."""

    @property
    def silent_now(self) -> bool:
        """There is no sound at all."""

    @property
    def onset(self) -> bool:
        """The newest sound may be the beginning of speech."""

    @property
    def voiced(self) -> float:
        """Ms of speech in the present utterance, or in the last."""

    @property
    def voiced_until(self) -> float:
        """End of the newest voice, on the loop's clock."""

    @property
    def awaiting(self) -> bool:
        """Words may be on their way."""

    @property
    def expecting(self) -> bool:
        """Words are likely on their way: a turn should wait for them."""

    @property
    def streams(self) -> bool | None:
        """Whether partial words come; None while that is not known."""

    @property
    def broken(self) -> bool:
        """Whoever listens has failed, and no words have come since."""

    def split_utterance(self) -> None:
        """The speech that goes on shall count anew; what was said so far is used already."""


class Mouth(Protocol):
    """Brings tracks to the caller. No method waits."""

    def pump(self) -> None:
        """Send what is due."""

    def play(self, track: Track) -> None:
        """Play this track from where it stands; it may still be growing."""

    def stop(self) -> int:
        """Silence at once. Returns the heard position; the track is rewound to it."""

    def release(self) -> None:
        """Let go of a track that was played out."""

    def heard(self) -> int:
        """How much of the track the caller has heard by now."""

    @property
    def quiet(self) -> bool:
        """All of the track so far was sent and heard."""


class Voice(Protocol):
    """Gives one reply its voice: sentences in, a growing track out."""

    done: bool

    @property
    def track(self) -> Track:
        """What it is voiced onto."""

    def add(self, text: str) -> None:
        """Voice this sentence after those before it."""

    def finish(self) -> None:
        """No more sentences will come."""

    @property
    def is_behind(self) -> bool:
        """Some sentence still waits for its voice."""

    def hurry(self) -> None:
        """The caller waits now."""

    def stop(self) -> None:
        """Nothing more of it will be heard."""

    async def run(self) -> None:
        """Voice everything."""


class Voicing(Protocol):
    """How the replies of one call get their voices."""

    @property
    def has_next(self) -> bool:
        """There is another voice, should the present one fail."""

    def speaker(
        self, owner: SpeakerOwner, metrics: TurnMetrics, spawn: Callable[[], None]
    ) -> Voice:
        """The voice of one reply; `spawn` runs it."""

    def apology(self, phrases: Phrases) -> bytes:
        """What is heard when there is no voice, as sound."""
