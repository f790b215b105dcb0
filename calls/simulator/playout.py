"""The far end's buffer: plays what it is sent in order and in real time, and knows what was heard.

Pure: every method is told the time, in seconds on the caller's own clock. Sound is mu-law at
8 kHz, one byte a sample.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

RATE = 8000
SILENCE = b"\xff"


@dataclass(slots=True)
class Stretch:
    """Sound that was played without a break, from `start` on."""

    start: float
    sound: bytearray

    @property
    def end(self) -> float:
        return self.start + len(self.sound) / RATE


@dataclass(slots=True)
class PlayoutBuffer:
    """What a carrier keeps of one call's sound until it has been played."""

    stretches: list[Stretch] = field(default_factory=list)
    _marks: deque[tuple[float, str]] = field(default_factory=deque)

    @property
    def plays_until(self) -> float:
        """When all that was received so far will have been played; 0 before the first sound."""
        return self.stretches[-1].end if self.stretches else 0.0

    def receive(self, now: float, sound: bytes) -> None:
        """Play `sound` after what is queued, or at once if nothing is."""
        if now > self.plays_until or not self.stretches:
            self.stretches.append(Stretch(now, bytearray()))
        self.stretches[-1].sound += sound

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
            del last.sound[max(0, int((now - last.start) * RATE)) :]
        waiting = [name for _, name in self._marks]
        self._marks.clear()
        return waiting

    def gaps(self, longest: float = 1.0) -> list[float]:
        """Seconds of silence between stretches, where it was no more than `longest`.

        Longer ones are taken for pauses between turns, shorter ones for sound that came late.
        """
        pairs = zip(self.stretches, self.stretches[1:], strict=False)
        gaps = (later.start - earlier.end for earlier, later in pairs)
        return [gap for gap in gaps if 0 < gap <= longest]

    def heard(self, since: float, until: float) -> bytes:
        """Mu-law of all that was played between two times, with silence where nothing was."""
        whole = bytearray(SILENCE * max(0, round((until - since) * RATE)))
        for stretch in self.stretches:
            at = round((stretch.start - since) * RATE)
            sound = stretch.sound[max(0, -at) :]
            at = max(0, at)
            part = sound[: max(0, len(whole) - at)]
            whole[at : at + len(part)] = part
        return bytes(whole)
