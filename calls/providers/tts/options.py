"""How an agent's voice should sound, whoever synthesises it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from calls.providers.provider import SynthesiserRequest

SPEED_LIMITS = (0.5, 2.0)
PITCH_LIMITS = (-50.0, 50.0)
STYLE_DEGREE_LIMITS = (0.01, 2.0)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a voice over the network may take, in ms, before it counts as failed.

    `open` bounds connecting, `first_sound` and `next_sound` the waits within a segment. They lie
    under the loop's own `first_audio_timeout`, so that a mute provider is known as such.
    """

    open: float = 3000
    first_sound: float = 2500
    next_sound: float = 2500


@dataclass(frozen=True, slots=True)
class VoiceOptions:
    """Voice settings of one call.

    `dialect` is a BCP 47 tag (`es-MX`); `sample_rate` is the line's, in Hz. `voice` is a name
    out of `voices.py`, a provider's own voice name, `female`, `male`, or None for the dialect's
    first voice. `speed` multiplies (1.0 is the voice's own pace), `pitch` is in percent of the
    voice's own (0 leaves it alone), `style_degree` is Azure's 0.01 to 2. `lexicon` says how
    words are pronounced, see `lexicon.py`. Values outside the limits raise `ValueError`.
    """

    dialect: str
    sample_rate: int
    voice: str | None = None
    speed: float = 1.0
    pitch: float = 0.0
    style: str | None = None
    style_degree: float = 1.0
    lexicon: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value, (low, high) in (
            ("speed", self.speed, SPEED_LIMITS),
            ("pitch", self.pitch, PITCH_LIMITS),
            ("style_degree", self.style_degree, STYLE_DEGREE_LIMITS),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}; it must lie between {low} and {high}")

    @classmethod
    def of(cls, request: SynthesiserRequest) -> VoiceOptions:
        """The part of a request that changes the sound."""
        return cls(
            dialect=request.language,
            sample_rate=request.sample_rate,
            voice=request.voice or None,
            speed=request.speed,
            pitch=request.pitch,
            style=request.style or None,
            style_degree=request.style_degree,
            lexicon=request.lexicon,
        )

    def fingerprint(self) -> str:
        """A short text that differs whenever anything that changes the sound differs."""
        settings = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(settings.encode()).hexdigest()[:32]
