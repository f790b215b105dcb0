"""The worker that has its clock in it."""

from __future__ import annotations

import signal
import threading

import pytest

from config.launcher import work


class Clock(threading.Thread):
    """A clock that fails; one that is over and is told to stop would be waited for without end."""

    def run(self) -> None:
        raise RuntimeError("the clock stands still")

    def stop(self) -> None:
        raise AssertionError("it is over")


@pytest.fixture
def ended(monkeypatch):
    """Set when the process is told to end."""
    told = threading.Event()
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    before = signal.signal(signal.SIGTERM, lambda *_: told.set())
    yield told
    signal.signal(signal.SIGTERM, before)


def test_a_worker_whose_clock_fails_is_ended(monkeypatch, capsys, ended):
    monkeypatch.setattr(work, "EmbeddedService", lambda _app, **_options: Clock())

    def until_told(_arguments):
        assert ended.wait(10)
        for thread in threading.enumerate():
            if isinstance(thread, Clock):
                thread.join()

    monkeypatch.setattr(work.app, "worker_main", until_told)
    work.main()
    assert "the clock stands still" in capsys.readouterr().err


def test_another_threads_failure_ends_nothing(capsys, ended):
    failed = Clock()
    threading.excepthook = lambda failure: work._end_with(threading.Thread(), failure)
    failed.start()
    failed.join()
    assert "the clock stands still" in capsys.readouterr().err
    assert not ended.is_set()
