"""How late the event loop is: the one figure that says whether every call still sounds right."""

from __future__ import annotations

import asyncio
from collections import deque

INTERVAL_MS = 20.0
_KEPT = 1500  # half a minute of samples


class LoopLag:
    """Measures, while it runs, how much later than asked a sleeping task is woken, in ms."""

    def __init__(self) -> None:
        self._samples: deque[float] = deque(maxlen=_KEPT)

    async def measure(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + INTERVAL_MS / 1000
            await asyncio.sleep(INTERVAL_MS / 1000)
            self._samples.append(max(0.0, (loop.time() - due) * 1000))

    def percentile(self, share: float) -> float | None:
        """The lag in ms that this share of the samples does not exceed; None without any."""
        if not self._samples:
            return None
        ordered = sorted(self._samples)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
