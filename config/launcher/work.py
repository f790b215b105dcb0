"""Celery's worker with its clock in a thread: `python -m config.launcher.work`.

A machine with one worker needs no third process, which would cost it as much memory and as long a
start as the worker itself. Where there are several workers, beat runs by itself (see
docker-compose.yml), so that no task is asked for twice.
"""

from __future__ import annotations

import os
import signal
import threading
from functools import partial

from celery.beat import EmbeddedService, Scheduler

from config.celery import app
from config.settings.env import ENV


def main() -> None:
    """Work until a signal says otherwise."""
    # It remembers nothing: a file that was cut short by a kill would keep it from ever starting.
    clock = EmbeddedService(app, thread=True, scheduler_cls=Scheduler)
    threading.excepthook = partial(_end_with, clock)
    clock.start()
    try:
        app.worker_main(
            # More than there are cores: they wait for carriers, some for minutes.
            ["--quiet", "worker", "--pool", "threads", "--concurrency", "8",
             "--loglevel", ENV.LOG_LEVEL, "--without-gossip", "--without-mingle"]
        )  # fmt: skip
    finally:
        if clock.is_alive():  # one that failed would be waited for without end
            clock.stop()


def _end_with(clock: threading.Thread, failure: threading.ExceptHookArgs) -> None:
    """A worker without its clock is no use: the launcher starts both again."""
    threading.__excepthook__(failure)
    if failure.thread is clock:
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
