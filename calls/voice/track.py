"""The sound of one agent turn: sentences with their PCM, in the order of playing.

segments   "Let me look."      "I found three."     "Which one?"
PCM        |################|  |#########...        (no sound yet)
sent                    ^ a byte offset into all of it; rewound when the caller cuts in
"""

from __future__ import annotations

from collections.abc import Sequence

from calls.voice.heard import Segment, heard_text


class Track:
    """Grows at its end while the voice speaks, is read by the playout, and can be rewound."""

    def __init__(self, sample_rate: int) -> None:
        self.segments: list[Segment] = []
        self.sent = 0  # bytes handed to the line
        self.bytes_per_ms = sample_rate * 2 / 1000
        self._pcm = bytearray()
        self._forgotten = 0  # bytes let go at the front: heard, never needed again

    @property
    def size(self) -> int:
        return self._forgotten + len(self._pcm)

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments if segment.text)

    def add(self, text: str) -> Segment:
        """A new sentence at the end."""
        segment = Segment(text)
        self.segments.append(segment)
        return segment

    def add_next(self, text: str) -> Segment:
        """A new sentence before those that still wait for their first sound."""
        segment = Segment(text)
        voiced = sum(1 for other in self.segments if other.start is not None)
        self.segments.insert(voiced, segment)
        return segment

    def append(self, segment: Segment, pcm: bytes) -> None:
        """More sound of a sentence. Raises `ValueError` for half a sample."""
        if len(pcm) % 2:
            raise ValueError(f"PCM16 of {len(pcm)} bytes holds half a sample")
        if not pcm:
            return
        if segment.start is None:
            segment.start = self.size / self.bytes_per_ms
        self._pcm += pcm
        segment.length = self.size / self.bytes_per_ms - segment.start

    @property
    def available(self) -> int:
        """Bytes that may be sent now, up to the end of the sentence being sent."""
        for segment in self.segments:
            end = self._end(segment)
            if end > self.sent:
                return end - self.sent
        return 0

    @property
    def at_sentence_end(self) -> bool:
        """Everything of some finished sentence was sent, and nothing beyond it."""
        return any(
            segment.closed and segment.start is not None and self._end(segment) == self.sent
            for segment in self.segments
        )

    def read(self, size: int) -> bytes:
        start = self.sent - self._forgotten
        pcm = bytes(self._pcm[start : start + size])
        self.sent += len(pcm)
        return pcm

    def forget(self, position: int) -> None:
        """Let go of the sound before this byte."""
        if position > self._forgotten:
            del self._pcm[: position - self._forgotten]
            self._forgotten = position

    def heard_text(self, position: int, among: Sequence[Segment] | None = None) -> str:
        """The words within the first `position` bytes; of these sentences, or of all."""
        sentences = self.segments if among is None else among
        return heard_text(sentences, position / self.bytes_per_ms)

    def _end(self, segment: Segment) -> int:
        return round(segment.end * self.bytes_per_ms)
