"""The two-channel recording of a call: caller left, agent right, each by its own sample clock.

Nothing here is waited for by the loop: it drops pieces into a deque, and one thread for all
calls writes them within two seconds. The WAV header always tells the truth about what is in
the file, so that a recording can be played whenever the process dies.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
import os
import struct
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np

log = logging.getLogger(__name__)

_HEADER_BYTES = 44
_FRAME_BYTES = 4  # two channels of 16 bits
_CALLER, _AGENT = 0, 1
_BATCH_SECONDS = 10  # most sound that one write puts together in memory
_LONGEST_SECONDS = 4 * 3600  # Twilio's own limit; a position beyond it is a fault of the sender


# Sound of one channel: its first sample's place and PCM16; without sound, the end of what the
# agent said before. A plain tuple, since one is made for every frame.
_Piece: TypeAlias = tuple[int, int, bytes | None]
_Frames: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.int16]]


class WavRecorder:
    """Implements `Recorder` for one call. `path` and its folder are made by the writer thread.

    With `resume` it goes on in a file that an earlier recorder of the same rate left behind.

    A disk that fails does not disturb the call: the recording ends, `failure` says why.
    """

    def __init__(self, path: Path, sample_rate: int, *, resume: bool = False) -> None:
        self.path, self.sample_rate = Path(path), sample_rate
        self._resume = resume
        self.failure: Exception | None = None
        self._pieces: deque[_Piece] = deque()
        self._file = -1
        self._header: mmap.mmap | None = None
        self._newest: _Frames = np.zeros((0, 2), np.int16)  # what was written last, and where
        self._newest_at = 0
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
        self._pieces.append((_CALLER, self._position(at), pcm))

    def agent(self, pcm: bytes, at: float) -> None:
        """Sound of the agent as it is played out, likewise."""
        self._pieces.append((_AGENT, self._position(at), pcm))

    def agent_cleared(self, at: float) -> None:
        """Nothing that was given for times after `at` was ever heard."""
        self._pieces.append((_AGENT, self._position(at), None))

    @property
    def closing(self) -> bool:
        """Whether `aclose` waits for the writer."""
        return self._closing is not None

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
        batch = _Batch()
        while self._pieces:
            channel, start, pcm = self._pieces.popleft()
            if pcm is None:
                self._write(batch)
                batch = _Batch()
                self._cut_agent(start)
                continue
            end = start + len(pcm) // 2
            if end > _LONGEST_SECONDS * self.sample_rate:
                log.warning("Recording %s: a piece lies %d samples in", self.path, start)
                continue
            if batch.span_with(start, end) > _BATCH_SECONDS * self.sample_rate:
                self._write(batch)
                batch = _Batch()
            batch.add(channel, start, end, pcm)
        self._write(batch)

    def _write(self, batch: _Batch) -> None:
        """Lay a batch over what the file holds there. Before its old end, gaps are silence."""
        if not batch.runs:
            return
        frames = self._there(batch.start, batch.end)
        for run in batch.runs:
            at = run.start - batch.start
            samples = np.frombuffer(b"".join(run.pieces), "<i2", run.end - run.start)
            frames[at : at + len(samples), run.channel] = samples
            self._ends[run.channel] = max(self._ends[run.channel], run.end)
        _write_at(self._file, frames.data, _HEADER_BYTES + batch.start * _FRAME_BYTES)
        self._write_header()
        self._newest, self._newest_at = frames, batch.start

    def _there(self, start: int, end: int) -> _Frames:
        """As `_read`, without asking the disk for what was written last."""
        if start < self._newest_at:
            return self._read(start, end)
        frames = np.zeros((end - start, 2), np.int16)
        known = self._newest[start - self._newest_at : end - self._newest_at]
        frames[: len(known)] = known
        beyond = self._newest_at + len(self._newest)
        if end > beyond and max(self._ends) > beyond:
            return self._read(start, end)
        return frames

    def _cut_agent(self, at: int) -> None:
        """Silence the agent from sample `at` on, and shorten the file if nobody spoke there."""
        if at >= self._ends[_AGENT]:
            return
        frames = self._read(at, self._ends[_AGENT])
        frames[:, _AGENT] = 0
        _write_at(self._file, frames.data, _HEADER_BYTES + at * _FRAME_BYTES)
        self._ends[_AGENT] = at
        self._newest_at, self._newest = at, frames[:0]
        self._write_header()
        os.ftruncate(self._file, _HEADER_BYTES + max(self._ends) * _FRAME_BYTES)

    def _read(self, start: int, end: int) -> _Frames:
        """Frames of the file, silence where it does not reach."""
        size = (end - start) * _FRAME_BYTES
        there = os.pread(self._file, size, _HEADER_BYTES + start * _FRAME_BYTES)
        return np.frombuffer(there.ljust(size, b"\0"), "<i2").reshape(-1, 2).copy()

    def _open_file(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        anew = 0 if self._resume else os.O_TRUNC
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | anew, 0o640)
        there = max(0, os.fstat(self._file).st_size - _HEADER_BYTES) // _FRAME_BYTES
        self._ends = [there, there]
        self._newest_at = there
        self._write_header()

    def _write_header(self) -> None:
        """After the sound, so that a header never promises what is not there."""
        size = max(self._ends) * _FRAME_BYTES
        rate = self.sample_rate
        chunk = struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE")
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, rate, rate * _FRAME_BYTES, 4, 16)
        header = chunk + form + struct.pack("<4sI", b"data", size)
        if self._header is None:
            _write_at(self._file, header, 0)
            self._header = mmap.mmap(self._file, _HEADER_BYTES)
        else:
            self._header[:] = header  # no system call, at which the loop would wait for a switch
        self._on_disk = size // _FRAME_BYTES

    def _close_file(self) -> None:
        if self._header is not None:
            self._header.close()
            self._header = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


@dataclass(slots=True)
class _Run:
    """Pieces of one channel that follow each other without a gap."""

    channel: int
    start: int
    end: int
    pieces: list[bytes]


class _Batch:
    """What one write puts together; `start` and `end` are the samples that it spans."""

    def __init__(self) -> None:
        self.runs: list[_Run] = []
        self.start = self.end = 0
        self._last: list[_Run | None] = [None, None]

    def span_with(self, start: int, end: int) -> int:
        """How long the batch would be with this piece; 0 for its first."""
        return max(self.end, end) - min(self.start, start) if self.runs else 0

    def add(self, channel: int, start: int, end: int, pcm: bytes) -> None:
        """Put a whole piece in."""
        self.start = min(self.start, start) if self.runs else start
        self.end = max(self.end, end)
        last = self._last[channel]
        if last is not None and last.end == start and len(pcm) % 2 == 0:
            last.pieces.append(pcm)
            last.end = end
            return
        run = _Run(channel, start, end, [pcm])
        self._last[channel] = run
        self.runs.append(run)


def _write_at(file: int, data: bytes | memoryview, offset: int) -> None:
    view = memoryview(data).cast("B")
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


class _Writer(threading.Thread):
    """Writes all recordings of the process, each every two seconds and when it is being closed.

    They take turns, evenly over that time: written in one go, a hundred of them would hold
    Python's lock for longer than the loop may wait.
    """

    INTERVAL = 2.0  # seconds
    _lock: ClassVar[threading.Lock] = threading.Lock()
    _shared: ClassVar[_Writer | None] = None

    def __init__(self) -> None:
        super().__init__(name="recordings", daemon=True)
        self._recorders: deque[WavRecorder] = deque()
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
            hurried = self._wake.wait(self.INTERVAL / max(1, len(self._recorders)))
            while self._new:
                self._recorders.append(self._new.popleft())
            if hurried:
                self._wake.clear()
                self._recorders = deque(
                    each for each in self._recorders if not (each.closing and each.flush())
                )
            elif self._recorders:
                self._next()

    def _next(self) -> None:
        recorder = self._recorders.popleft()
        if not recorder.flush():
            self._recorders.append(recorder)
