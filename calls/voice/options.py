"""How a call takes turns: every knob of the loop, with its default.

All times are milliseconds. An agent version carries these per channel profile; the loop itself
only ever sees a frozen `TurnOptions`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

_MAY_BE_ANYTHING = {"backchannels", "keys_terminator"}


@dataclass(frozen=True, kw_only=True)
class TurnOptions:
    """Turn-taking options. Raises `ValueError` naming the option whose value cannot work."""

    # Speech detection: when a stretch of sound counts as speech, and when it is over.
    vad_threshold: float = 0.5
    vad_min_speech: float = 60
    vad_min_silence: float = 250
    vad_prefix: float = 300
    noise_adaptation: bool = True

    # Endpointing: the wait between the acoustic end of speech and the agent's turn.
    endpointing_min: float = 400
    endpointing_max: float = 2500
    endpointing_adaptive: bool = True
    endpointing_dictation: float = 1500

    # Barge-in: what it takes to interrupt the agent. `backchannels=None`: the language's own.
    bargein: bool = True
    bargein_min_duration: float = 400
    bargein_min_words: int = 0
    backchannels: tuple[str, ...] | None = None
    false_interruption_timeout: float = 1500
    greeting_protected: float = 0

    # Keys: a turn of them ends with the terminator ("": none), after `keys_timeout` without
    # another, or with so many (0: any number). `keys_interrupt`: they stop the agent.
    keys_terminator: str = "#"
    keys_timeout: float = 1000
    keys_max_digits: int = 0
    keys_interrupt: bool = True

    # Start model and voice on a probable end of turn, before it is certain.
    preemptive: bool = True

    # Silence, monologues and the end of patience. 0 switches a limit off.
    away_after: float = 10_000
    away_prompts: int = 2
    caller_turn_limit: float = 60_000
    max_duration: float = 1_800_000

    # How long providers and the line may take. `filler_after=0`: no fillers.
    transcript_timeout: float = 3000
    first_token_timeout: float = 4000
    first_audio_timeout: float = 3000
    filler_after: float = 1200
    send_timeout: float = 5000

    def __new__(cls, **chosen: Any) -> TurnOptions:
        options = super().__new__(cls)
        object.__setattr__(options, "_chosen", frozenset(chosen))
        return options

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if option.name not in _MAY_BE_ANYTHING and not value >= 0:
                raise ValueError(f"{option.name} must not be negative, but is {value}")
        if not 0 < self.vad_threshold < 1:
            raise ValueError(f"vad_threshold must lie in (0, 1), but is {self.vad_threshold}")
        if self.keys_terminator not in ("", "#", "*"):
            raise ValueError(f"keys_terminator must be #, * or empty: {self.keys_terminator!r}")
        if self.endpointing_max < self.endpointing_min:
            raise ValueError(
                f"endpointing_max ({self.endpointing_max}) must not be less than "
                f"endpointing_min ({self.endpointing_min})"
            )

    def chose(self, name: str) -> bool:
        """Whether the maker of these options named this one, or left it at its default."""
        return name in self.__dict__["_chosen"]
