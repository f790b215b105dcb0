"""Speak the simulated caller's clips: flite's voices for English, espeak-ng's for Spanish.

    python -m calls.simulator.make_clips

Run when index.toml changes; the WAV files are kept in the repository, so nobody else needs
either program.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import wave
from pathlib import Path

from calls.simulator.clips import CLIPS, RATE, index
from calls.voice.resample import resample


def speak(text: str, voice: str, path: Path) -> None:
    """Write a WAV file of `text`; `voice` is one of flite's, or `es` for espeak-ng."""
    flite = ["flite", "-voice", voice, "-t", text, "-o", str(path)]
    espeak = ["espeak-ng", "-v", "es-419", "-s", "150", "-w", str(path), text]
    subprocess.run(espeak if voice == "es" else flite, check=True)  # noqa: S603 - our own index


def main() -> None:
    for clip in index().values():
        with tempfile.TemporaryDirectory() as folder:
            spoken = Path(folder) / "spoken.wav"
            speak(clip.text, clip.voice, spoken)
            with wave.open(str(spoken)) as source:
                pcm = resample(source.readframes(source.getnframes()), source.getframerate(), RATE)
        with wave.open(str(CLIPS / f"{clip.name}.wav"), "wb") as target:
            target.setnchannels(1)
            target.setsampwidth(2)
            target.setframerate(RATE)
            target.writeframes(pcm)
        sys.stdout.write(f"{clip.name}: {len(pcm) / 2 / RATE:.2f} s\n")


if __name__ == "__main__":
    main()
