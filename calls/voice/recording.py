"""The two-channel recording of a call: caller left, agent right, each by its own sample clock.

Nothing here is waited for by the loop: it drops pieces into a deque, and one thread for all
calls writes them half a second later. The WAV header always tells the truth about what is in
the file, so that a recording can be played whenever the process dies.
"""

from __future__ import annotations

import asyncio
import logging
import os
import struct
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

log = logging.getLogger(__name__)

_HEADER_BYTES = 44
_FRAME_BYTES = 4  # two channels of 16 bits
_CALLER, _AGENT = 0, 1
_BATCH_SECONDS = 10  # most sound that one write puts together in memory
_LONGEST_SECONDS = 4 * 3600  # Twilio's own limit; a position beyond it is a fault of the sender


@dataclass(frozen=True, slots=True)
class _Piece:
    """Sound of one channel; without `pcm`, the end of what the agent said before."""

    channel: int
    start: int
    pcm: bytes | None

    @property
    def end(self) -> int:
        return self.start + len(self.pcm or b"") // 2


class WavRecorder:
    """Implements `Recorder` for one call. `path` and its folder are made by the writer thread.

    A disk that fails does not disturb the call: the recording ends, `failure` says why.
    """

    def __init__(self, path: Path, sample_rate: int) -> None:
        self.path, self.sample_rate = Path(path), sample_rate
        self.failure: Exception | None = None
        self._pieces: deque[_Piece] = deque()
        self._file = -1
        self._ends = [0, 0]
        self._on_disk = 0  # frames that the header counts
        self._closing: Future[None] | None = None
        _Writer.shared().add(self)

    @property
    def seconds(self) -> float:
        """How much is on disk by now."""
        return self._on_disk / self.sample_rate

    def caller(self, pcm: bytes, at: float) -> None:
        """Sound of the caller whose first sample lies `at` ms after the call was answered."""
        self._pieces.append(_Piece(_CALLER, self._position(at), pcm))

    def agent(self, pcm: bytes, at: float) -> None:
        """Sound of the agent as it is played out, likewise."""
        self._pieces.append(_Piece(_AGENT, self._position(at), pcm))

    def agent_cleared(self, at: float) -> None:
        """Nothing that was given for times after `at` was ever heard."""
        self._pieces.append(_Piece(_AGENT, self._position(at), None))

    async def aclose(self) -> None:
        """Returns when all of it is in the file and the file is closed."""
        if self._closing is None:
            self._closing = Future()
            _Writer.shared().hurry()
        await asyncio.shield(asyncio.wrap_future(self._closing))

    def _position(self, at: float) -> int:
        return max(0, round(at * self.sample_rate / 1000))

    # --- on the writer's thread -------------------------------------------------------------

    def flush(self) -> bool:
        """Write what has come; true when the recording is closed."""
        closing = self._closing
        try:
            self._write_pieces()
        except Exception as error:  # one call's fault must not end everybody's recording
            self.failure = error
            log.exception("Recording %s failed and ends here", self.path)
        if closing is None:
            return False
        self._close_file()
        closing.set_result(None)
        return True

    def _write_pieces(self) -> None:
        if self.failure:
            self._pieces.clear()
            return
        if self._file < 0:
            self._open_file()
        batch: list[_Piece] = []
        while self._pieces:
            piece = self._pieces.popleft()
            if piece.end > _LONGEST_SECONDS * self.sample_rate:
                log.warning("Recording %s: a piece lies %d samples in", self.path, piece.start)
            elif piece.pcm is None:
                self._write(batch)
                batch = []
                self._cut_agent(piece.start)
            else:
                batch = self._batched(batch, piece)
        self._write(batch)

    def _batched(self, batch: list[_Piece], piece: _Piece) -> list[_Piece]:
        """The batch with this piece, or the piece alone if together they span too much."""
        together = [*batch, piece]
        span = max(p.end for p in together) - min(p.start for p in together)
        if batch and span > _BATCH_SECONDS * self.sample_rate:
            self._write(batch)
            return [piece]
        return together

    def _write(self, batch: list[_Piece]) -> None:
        """Lay a batch over what the file holds there. Before its old end, gaps are silence."""
        if not batch:
            return
        start, end = min(piece.start for piece in batch), max(piece.end for piece in batch)
        frames = self._read(start, end)
        for piece in batch:
            samples = np.frombuffer(piece.pcm or b"", "<i2", (piece.end - piece.start))
            frames[piece.start - start : piece.end - start, piece.channel] = samples
            self._ends[piece.channel] = max(self._ends[piece.channel], piece.end)
        _write_at(self._file, frames.tobytes(), _HEADER_BYTES + start * _FRAME_BYTES)
        self._write_header()

    def _cut_agent(self, at: int) -> None:
        """Silence the agent from sample `at` on, and shorten the file if nobody spoke there."""
        if at >= self._ends[_AGENT]:
            return
        frames = self._read(at, self._ends[_AGENT])
        frames[:, _AGENT] = 0
        _write_at(self._file, frames.tobytes(), _HEADER_BYTES + at * _FRAME_BYTES)
        self._ends[_AGENT] = at
        self._write_header()
        os.ftruncate(self._file, _HEADER_BYTES + max(self._ends) * _FRAME_BYTES)

    def _read(self, start: int, end: int) -> np.ndarray[tuple[int, int], np.dtype[np.int16]]:
        """Frames of the file, silence where it does not reach."""
        size = (end - start) * _FRAME_BYTES
        there = os.pread(self._file, size, _HEADER_BYTES + start * _FRAME_BYTES)
        return np.frombuffer(there.ljust(size, b"\0"), "<i2").reshape(-1, 2).copy()

    def _open_file(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o640)
        self._write_header()

    def _write_header(self) -> None:
        """After the sound, so that a header never promises what is not there."""
        size = max(self._ends) * _FRAME_BYTES
        rate = self.sample_rate
        chunk = struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE")
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, rate, rate * _FRAME_BYTES, 4, 16)
        _write_at(self._file, chunk + form + struct.pack("<4sI", b"data", size), 0)
        self._on_disk = size // _FRAME_BYTES

    def _close_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _write_at(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


class _Writer(threading.Thread):
    """Writes all recordings of the process, twice a second and when one is being closed."""

    INTERVAL = 0.5  # seconds
    _lock: ClassVar[threading.Lock] = threading.Lock()
    _shared: ClassVar[_Writer | None] = None

    def __init__(self) -> None:
        super().__init__(name="recordings", daemon=True)
        self._recorders: list[WavRecorder] = []
        self._new: deque[WavRecorder] = deque()
        self._wake = threading.Event()

    @classmethod
    def shared(cls) -> _Writer:
        """The writer of this process (a forked child gets one of its own)."""
        with cls._lock:
            if cls._shared is None or not cls._shared.is_alive():
                cls._shared = cls()
                cls._shared.start()
            return cls._shared

    def add(self, recorder: WavRecorder) -> None:
        self._new.append(recorder)

    def hurry(self) -> None:
        self._wake.set()

    def run(self) -> None:
        while True:
            self._wake.wait(self.INTERVAL)
            self._wake.clear()
            while self._new:
                self._recorders.append(self._new.popleft())
            self._recorders = [each for each in self._recorders if not each.flush()]
