"""Puts packets into order, and tells which never came.

What comes in order passes at once: nobody listens here, so there is nothing to smooth. A packet
that comes before its turn waits for those in between, `PATIENCE` ms at most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from calls.voice.clock import Timer
from calls.voice.ports import Clock

PATIENCE = 60.0
MOST_HELD = 50  # packets; a second of sound
FAR = 500  # numbers away from the next one a packet belongs to another sequence


class Packet(NamedTuple):
    """One packet; its number does not wrap around, its timestamp (48 kHz) neither."""

    number: int
    timestamp: int
    payload: bytes


class JitterBuffer:
    """One stream of RTP (RFC 3550) in order.

    `deliver` gets each packet and whether packets before it are lost. `on_late` is told of those
    that come after that, and of those that come twice.
    """

    def __init__(
        self,
        clock: Clock,
        deliver: Callable[[Packet, bool], None],
        patience: float = PATIENCE,
    ) -> None:
        self._clock, self._deliver, self._patience = clock, deliver, patience
        self._held: dict[int, tuple[Packet, float]] = {}
        self._next: int | None = None
        self._timestamp = 0
        self._missing = Timer(clock, self._give_up)
        self.on_late: Callable[[], None] = lambda: None

    def put(self, number: int, timestamp: int, payload: bytes) -> None:
        """A packet as it came: 16 bits of number, 32 of timestamp."""
        if self._next is None:
            self._next, self._timestamp = number, timestamp
        away = _signed(number - self._next, 16)
        if abs(away) > FAR:
            self._held.clear()
            self._next, away = number, 0
        self._timestamp += _signed(timestamp - self._timestamp, 32)
        packet = Packet(self._next + away, self._timestamp, payload)
        if away < 0 or packet.number in self._held:
            self.on_late()
            return
        self._held[packet.number] = (packet, self._clock.now())
        self._release(lost=False)
        while len(self._held) > MOST_HELD:
            self._give_up()

    def close(self) -> None:
        """Wait for nothing any more."""
        self._missing.cancel()
        self._held.clear()

    def _release(self, *, lost: bool) -> None:
        """Deliver what is in order; wait for what is missing before the rest."""
        self._missing.cancel()
        while self._next in self._held:
            packet, _ = self._held.pop(self._next)
            self._next += 1
            self._deliver(packet, lost)
            lost = False
        if self._held:
            self._missing.set(min(came for _, came in self._held.values()) + self._patience)

    def _give_up(self) -> None:
        """What is missing has been waited for long enough."""
        if self._held:
            self._next = min(self._held)
            self._release(lost=True)


def _signed(difference: int, bits: int) -> int:
    """The shortest way round from one counter of so many bits to another."""
    half = 1 << (bits - 1)
    return (difference + half) % (1 << bits) - half
