"""The simulated caller's recordings: short telephone speech, with what is said in them."""

from __future__ import annotations

import tomllib
import wave
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CLIPS = Path(__file__).parent
RATE = 8000  # Hz: recorded as a telephone line carries it


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording: `voice` is `rms` or `slt` (English, flite) or `es` (Spanish, espeak-ng)."""

    name: str
    text: str
    voice: str

    @property
    def language(self) -> str:
        return "es" if self.voice == "es" else "en"

    def pcm(self) -> bytes:
        """PCM16 mono at 8000 Hz."""
        with wave.open(str(CLIPS / f"{self.name}.wav")) as recording:
            return bytes(recording.readframes(recording.getnframes()))


@cache
def index() -> dict[str, Clip]:
    """All clips by name."""
    entries = tomllib.loads((CLIPS / "index.toml").read_text(encoding="utf-8"))
    return {name: Clip(name, entry["text"], entry["voice"]) for name, entry in entries.items()}


def find(name_or_text: str) -> Clip:
    """The clip of this name, or the one that says this. Raises LookupError with the choices."""
    clips = index()
    wanted = _plain(name_or_text)
    for clip in clips.values():
        if clip.name == name_or_text or _plain(clip.text) == wanted:
            return clip
    raise LookupError(f"no clip says {name_or_text!r}; there are: {', '.join(clips)}")


def _plain(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())
