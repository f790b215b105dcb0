"""Where in the call a piece of sound belongs, by the sender's clock or by counting samples."""

from __future__ import annotations

# A sender stamps its pieces to the millisecond and not always evenly. Less than a frame's
# difference is that; more is sound that got lost on the way.
JITTER_MS = 20.0


class Positions:
    """Lays pieces of sound one behind the other and finds out what is missing.

    All times are ms since the stream began. `lost_ms` sums the gaps, `late` counts pieces
    that came after their place had been passed.
    """

    def __init__(self) -> None:
        self.expected = 0.0
        self.lost_ms = 0.0
        self.late = 0

    def place(self, timestamp: float | None, duration: float) -> float | None:
        """The position of a piece of `duration` ms, or None if its time has passed.

        Without a `timestamp` it follows the one before. A late piece is dropped: what came
        after it has been heard already, and its place is a gap by now.
        """
        position = self.expected
        if timestamp is not None:
            difference = timestamp - self.expected
            if difference <= -JITTER_MS:
                self.late += 1
                return None
            if difference >= JITTER_MS:
                self.lost_ms += difference
                position = timestamp
        self.expected = position + duration
        return position
