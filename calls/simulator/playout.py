"""The far end's buffer: plays what it is sent in order and in real time, and knows what was heard.

Pure: every method is told the time, in seconds on the caller's own clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Coding:
    """How sound is coded: samples a second, and one sample of silence."""

    rate: int
    silence: bytes

    def seconds(self, sound: bytes | bytearray) -> float:
        return len(sound) / len(self.silence) / self.rate

    def offset(self, seconds: float) -> int:
        """Where that time lies in the sound, in bytes."""
        return round(seconds * self.rate) * len(self.silence)


MULAW = Coding(8000, b"\xff")
PCM16 = Coding(16000, b"\0\0")


@dataclass(slots=True)
class Stretch:
    """Sound that was played without a break, between two times."""

    start: float
    end: float
    sound: bytearray
    cleared: bool = False  # it ended because it was thrown away, not because no more came


@dataclass(slots=True)
class PlayoutBuffer:
    """What a carrier keeps of one call's sound until it has been played."""

    coding: Coding = MULAW
    stretches: list[Stretch] = field(default_factory=list)
    _marks: deque[tuple[float, str]] = field(default_factory=deque)

    @property
    def plays_until(self) -> float:
        """When all that was received so far will have been played; 0 before the first sound."""
        return self.stretches[-1].end if self.stretches else 0.0

    def receive(self, now: float, sound: bytes) -> None:
        """Play `sound` after what is queued, or at once if nothing is."""
        if now > self.plays_until or not self.stretches:
            self.stretches.append(Stretch(now, now, bytearray()))
        last = self.stretches[-1]
        last.sound += sound
        last.end = last.start + self.coding.seconds(last.sound)

    def mark(self, now: float, name: str) -> None:
        """Ask for `name` to be echoed once all sound received so far has been played."""
        self._marks.append((max(now, self.plays_until), name))

    def due(self, now: float) -> list[str]:
        """Take out the marks that playing has passed."""
        passed = []
        while self._marks and self._marks[0][0] <= now:
            passed.append(self._marks.popleft()[1])
        return passed

    def next_due(self) -> float | None:
        """When the next mark will be passed."""
        return self._marks[0][0] if self._marks else None

    def clear(self, now: float) -> list[str]:
        """Throw away what has not been played; gives every mark that was waiting."""
        if self.stretches and self.plays_until > now:
            last = self.stretches[-1]
            del last.sound[max(0, self.coding.offset(now - last.start)) :]
            last.end, last.cleared = now, True
        waiting = [name for _, name in self._marks]
        self._marks.clear()
        return waiting

    def gaps(self, longest: float = 1.0) -> list[float]:
        """Seconds of silence between stretches, where it was no more than `longest`.

        Longer ones are taken for pauses between turns, shorter ones for sound that came late.
        After a clear the agent was to be silent.
        """
        pairs = zip(self.stretches, self.stretches[1:], strict=False)
        gaps = (late.start - early.end for early, late in pairs if not early.cleared)
        return [gap for gap in gaps if 0 < gap <= longest]

    def heard(self, since: float, until: float) -> bytes:
        """All that was played between two times, with silence where nothing was."""
        whole = bytearray(self.coding.offset(until - since))
        whole[:] = self.coding.silence * (len(whole) // len(self.coding.silence))
        for stretch in self.stretches:
            at = self.coding.offset(stretch.start - since)
            sound = stretch.sound[max(0, -at) :]
            at = max(0, at)
            part = sound[: max(0, len(whole) - at)]
            whole[at : at + len(part)] = part
        return bytes(whole)
