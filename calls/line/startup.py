"""Loads what all calls of a process share before the first one needs it, and closes it at the end.

Loading a model while calls run would stall every one of them, so this is done at start, in a
thread; a call that comes sooner waits for it in a thread of its own.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from pathlib import Path

from django.conf import settings

from agents.services.mind import check_model, close_clients
from calls.carriers import dispatch, outbox
from calls.line.live import live
from calls.line.presence import presence
from calls.providers.carriers.webrtc import engine as webrtc
from calls.providers.registry import warm_up as warm_up_providers
from calls.providers.tts import cache
from calls.voice import silero

log = logging.getLogger(__name__)

_lock = threading.Lock()
_warm = False


def warm_up() -> None:
    """Load models, voices and SDKs once per process. Blocks, so call it in a thread."""
    global _warm  # noqa: PLW0603 - one fact about this process
    with _lock:
        if _warm:
            return
        started = time.perf_counter()
        cache.configure(Path(settings.MEDIA_ROOT) / "phrases")
        silero.load()
        warm_up_providers(settings.SPEECH_CREDENTIALS)
        if live.takes_calls and settings.WEBRTC.enabled:
            webrtc.load()
        _warm = True
        log.info("warm after %.1f s: speech detector and providers", time.perf_counter() - started)


def warm_up_in_background() -> None:
    """Begin now; calls that come before it is done wait for it."""
    threading.Thread(target=_warm_up_and_check, name="warm-up", daemon=True).start()


def _warm_up_and_check() -> None:
    warm_up()
    check = asyncio.run(check_model())  # asks the network, so no call waits for it
    worry = bool(settings.GROQ_API_KEY) and not check.ok
    log.log(logging.WARNING if worry else logging.INFO, "language model: %s", check.reason)


def open_for_calls() -> None:
    """Tell the other processes that this one is there. In the event loop of the calls."""
    from calls.trunks.desk import desk  # its calls are built by what is warmed up here

    presence.begin()
    outbox.open_here()
    desk.begin()


async def shut_down(seconds: float) -> None:
    """Let the calls finish for so long, store everything, then close what they shared.

    In the event loop of the calls: connections belong to it.
    """
    from calls.trunks.desk import desk

    desk.retire()
    await live.drain(seconds)
    await desk.end()
    await presence.end()
    await close_clients()
    await dispatch.close_all()
