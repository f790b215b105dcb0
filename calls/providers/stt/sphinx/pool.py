"""The decoding processes, shared by all calls of this process and started when first needed."""

from __future__ import annotations

import itertools
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from calls.providers.stt.sphinx.wire import Kind, Message, read, write

_ROOT = Path(__file__).resolve().parents[4]
_numbers = itertools.count(1)

Answer = Callable[[Message], None]


class WorkerProcess:
    """One decoding process with a thread that writes to it and one that reads from it.

    Sending never blocks. Answers are delivered on the reading thread. When the process ends,
    each session gets one FAILED with an empty body.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "calls.providers.stt.sphinx.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_ROOT,
        )
        self._outbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._sessions: dict[int, Answer] = {}
        self._lock = threading.Lock()
        self._alive = True
        for work in (self._write_all, self._read_all):
            threading.Thread(target=work, name=f"sphinx-{work.__name__}", daemon=True).start()

    @property
    def alive(self) -> bool:
        return self._alive

    @property
    def load(self) -> int:
        """How many sessions it has."""
        return len(self._sessions)

    @property
    def pid(self) -> int:
        return self._process.pid

    def join(self, answer: Answer) -> int:
        """Number of a new session, whose messages go to `answer`."""
        number = next(_numbers)
        with self._lock:
            if not self._alive:
                raise BrokenPipeError("the decoding process has ended")
            self._sessions[number] = answer
        return number

    def leave(self, number: int) -> None:
        """End a session; doing it twice is harmless."""
        if self._sessions.pop(number, None):
            self.send(Message(Kind.CLOSE, number))

    def send(self, message: Message) -> None:
        """Queue a message for the process."""
        self._outbox.put(message)

    def stop(self) -> None:
        """Let it finish what it has, then end. Blocks for up to 5 s."""
        self._outbox.put(None)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _write_all(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None  # noqa: S101 - asked for above
        with suppress(OSError):  # it has ended: the reading side tells
            while (message := self._outbox.get()) is not None:
                write(pipe, message)
        with suppress(OSError):
            pipe.close()

    def _read_all(self) -> None:
        pipe = self._process.stdout
        assert pipe is not None  # noqa: S101 - asked for above
        while (message := read(pipe)) is not None:
            answer = self._sessions.get(message.session)
            if answer:
                answer(message)
        pipe.close()
        self._process.wait()
        self._outbox.put(None)
        self._tell_all_that_it_ended()

    def _tell_all_that_it_ended(self) -> None:
        with self._lock:
            self._alive = False
            orphans, self._sessions = self._sessions, {}
        for number, answer in orphans.items():
            answer(Message(Kind.FAILED, number, b""))


class WorkerPool:
    """As many processes as can decode without starving the calls themselves."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._workers: list[WorkerProcess] = []
        self._lock = threading.Lock()

    def get(self) -> WorkerProcess:
        """The least loaded process; a new one while all are busy and there is room."""
        with self._lock:
            self._workers = [worker for worker in self._workers if worker.alive]
            least = min(self._workers, key=lambda worker: worker.load, default=None)
            if least is None or (least.load and len(self._workers) < self._size):
                least = WorkerProcess()
                self._workers.append(least)
            return least

    def stop(self) -> None:
        """End all processes; the next `get` starts afresh."""
        with self._lock:
            workers, self._workers = self._workers, []
        for worker in workers:
            worker.stop()


@lru_cache(maxsize=1)
def shared_pool() -> WorkerPool:
    """The pool of this process."""
    return WorkerPool(size=max(1, min(4, (os.cpu_count() or 2) - 1)))
