"""The loop for carriers that hear and speak by themselves: text comes in, and text goes out."""

from calls.voice.text.ports import (
    CallerSpeaks,
    Heard,
    Interrupted,
    Spoken,
    TextEvent,
    TextPorts,
    TextStream,
)
from calls.voice.text.session import TextSession

__all__ = [
    "CallerSpeaks",
    "Heard",
    "Interrupted",
    "Spoken",
    "TextEvent",
    "TextPorts",
    "TextSession",
    "TextStream",
]
