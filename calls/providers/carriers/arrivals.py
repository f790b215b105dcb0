"""Finds out that a sender without time stamps left sound out, by when its pieces arrive."""

from __future__ import annotations

# Less than this is the network's jitter or the page's timer.
GAP_MS = 200.0
# So many pieces in a row have to be late, without catching up by more than `CAUGHT_UP_MS`.
PIECES = 10
CAUGHT_UP_MS = 20.0


class Arrivals:
    """Compares the pieces' positions with the clock of their arrival; both in ms.

    The smallest delay ever seen is that of the way itself. Sound that was held up arrives faster
    than it lasts, so its delay falls; a delay that is longer and stays so means that sound is
    missing.
    """

    def __init__(self) -> None:
        self._least = float("inf")
        self._late = 0
        self._first = self._lowest = 0.0

    def missing(self, position: float, arrival: float) -> float:
        """How much sound is missing before the piece at `position`; 0 almost always."""
        delay = arrival - position
        if delay <= self._least + GAP_MS:
            self._least = min(self._least, delay)
            self._late = 0
            return 0.0
        return self._suspect(delay)

    def _suspect(self, delay: float) -> float:
        if self._late == 0:
            self._first = self._lowest = delay
        self._late += 1
        self._lowest = min(self._lowest, delay)
        if self._late < PIECES:
            return 0.0
        self._late = 0
        return 0.0 if self._first - delay > CAUGHT_UP_MS else self._lowest - self._least
