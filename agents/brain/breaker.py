"""A circuit breaker: a provider that keeps failing is left alone for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

BreakerState = Literal["closed", "open", "half_open"]


class CircuitBreaker:
    """Opens after `failures` in a row, and lets one trial through after `cooldown` seconds.

    While half open only that one trial is allowed. A trial that never reports back (its call
    was hung up) is forgotten after another `cooldown`, so the breaker cannot stay stuck.
    Share one breaker per provider and process; all methods return at once.
    """

    def __init__(
        self,
        name: str,
        failures: int = 3,
        cooldown: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if failures < 1:
            raise ValueError(f"{name}: failures is {failures}; it must be at least 1")
        self.name = name
        self._limit = failures
        self._cooldown = cooldown
        self._clock = clock
        self._count = 0
        self._open_until: float | None = None  # while set, calls are refused until then

    @property
    def state(self) -> BreakerState:
        """`closed` (all may pass), `open` (none may) or `half_open` (one may try)."""
        if self._open_until is None:
            return "closed"
        return "open" if self._clock() < self._open_until else "half_open"

    def allow(self) -> bool:
        """Whether to use the provider now; in `half_open` the asker becomes the one trial."""
        state = self.state
        if state == "half_open":
            self._open_until = self._clock() + self._cooldown
            return True
        return state == "closed"

    def succeeded(self) -> None:
        """The provider works: close."""
        self._count = 0
        self._open_until = None

    def failed(self, retry_after: float | None = None) -> None:
        """The provider failed. With `retry_after` (seconds) it opens at once, for that long."""
        self._count += 1
        if retry_after is not None:
            self._open_until = self._clock() + retry_after
        elif self._count >= self._limit:
            self._open_until = self._clock() + self._cooldown
