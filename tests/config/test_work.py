"""The worker that has its clock in it."""

from __future__ import annotations

import signal
import threading

from config.launcher import work


def test_a_worker_whose_clock_fails_is_ended(monkeypatch, capsys):
    class Clock(threading.Thread):
        def run(self):
            raise RuntimeError("the clock stands still")

        def stop(self):
            self.join()

    told = threading.Event()
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(work, "EmbeddedService", lambda _app, **_options: Clock())
    monkeypatch.setattr(work.app, "worker_main", lambda _arguments: told.wait(10))
    before = signal.signal(signal.SIGTERM, lambda *_: told.set())
    try:
        work.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert told.is_set()
    assert "the clock stands still" in capsys.readouterr().err
