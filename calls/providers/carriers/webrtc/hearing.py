"""The caller's packets as sound in its place, with what is missing made up for."""

from __future__ import annotations

from collections.abc import Callable

from calls.providers.carriers.positions import Positions
from calls.providers.carriers.webrtc.jitter import Packet
from calls.providers.carriers.webrtc.opus import SAMPLE_RATE, Decoder
from calls.voice.ports import Audio, Clock

TICKS_PER_MS = 48  # of RTP timestamps (RFC 7587, 4.1)
MOST_CONCEALED = 100.0  # ms; longer gaps are silence
ASTRAY = 5000.0  # ms from our clock at which a sender's timestamps mean nothing any more


class Hearing:
    """One call's inbound sound, over all the connections it may need.

    `emit` gets it in order. Sound that was made up counts in `positions.lost_ms`.
    """

    def __init__(self, clock: Clock, positions: Positions, emit: Callable[[Audio], None]) -> None:
        self.positions = positions
        self._clock, self._emit = clock, emit
        self._began: float | None = None
        self._origin: tuple[int, float] | None = None
        self._decoder = Decoder()

    def reconnected(self) -> None:
        """What comes now has other timestamps, and its encoder knows nothing of the last one."""
        self._origin = None
        self._decoder = Decoder()

    def take(self, packet: Packet, lost: bool) -> None:
        """The next packet; `lost` says that there were others before it. Raises BadOpus."""
        position = self._position(packet.timestamp)
        if lost:
            self._conceal(position)
        if packet.payload:  # else it is padding, with which browsers probe the line
            self._place(self._decoder.decode(packet.payload), position)

    def _position(self, timestamp: int) -> float:
        """Milliseconds since the call's first packet."""
        now = self._clock.now()
        if self._began is None:
            self._began = now
        elapsed = now - self._began
        if self._origin is not None:
            ticks, origin = self._origin
            position = origin + (timestamp - ticks) / TICKS_PER_MS
            if abs(position - elapsed) <= ASTRAY:
                return position
        position = max(elapsed, self.positions.expected)
        self._origin = (timestamp, position)
        return position

    def _conceal(self, until: float) -> None:
        begin = self.positions.expected
        while self.positions.expected < min(until, begin + MOST_CONCEALED) - 2.0:
            pcm = self._decoder.conceal()
            if not pcm:
                return
            self.positions.lost_ms += len(pcm) * 500 / SAMPLE_RATE
            self._place(pcm, None)

    def _place(self, pcm: bytes, position: float | None) -> None:
        at = self.positions.place(position, len(pcm) * 500 / SAMPLE_RATE)
        if at is not None and pcm:
            self._emit(Audio(pcm, SAMPLE_RATE, at))
