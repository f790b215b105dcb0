"""The web and media server: `python -m config.serve --server daphne|uvicorn --port 8000`.

Both servers run the same application. SIGTERM drains: no new calls are taken, live ones have
DRAIN_SECONDS to finish, every word is stored. SIGINT does the same without waiting.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import django
import uvicorn

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402 - the settings are chosen above

from calls.line.live import live  # noqa: E402
from calls.line.startup import open_for_calls, shut_down, warm_up_in_background  # noqa: E402
from config.asgi import application  # noqa: E402

log = logging.getLogger(__name__)
# Bytes. The media streams' own limit is a quarter of it and closes with a code that says so; what
# is larger still no server takes in: it closes with 1009.
LARGEST_MESSAGE = 256 * 1024
UNSENT = 16 * 1024  # bytes the kernel may hold for one socket before `send` has to wait
CLOSE_SECONDS = 30  # how long an application may take to store a call after its socket closed


class Drain:
    """Turns the first signal into a drain and, when that is done, a stop; a second one hurries."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._task: asyncio.Task[None] | None = None

    def begin(self, sign: int) -> None:
        """Called in the event loop for each signal."""
        if self._task is not None:
            self._task.cancel()
        seconds = settings.DRAIN_SECONDS if sign == signal.SIGTERM and self._task is None else 0
        self._task = asyncio.ensure_future(self._run(seconds))

    async def _run(self, seconds: float) -> None:
        await shut_down(seconds)
        self._stop()


def listen(options: argparse.Namespace) -> socket.socket:
    """The listening socket. Those that it accepts hold little that was not sent yet, so that a
    reader that has stopped is noticed."""
    if options.fd is not None:
        listener = socket.socket(fileno=options.fd)
    else:
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        listener = socket.create_server((options.host, options.port), family=family, backlog=2048)
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    return listener


def serve_daphne(options: argparse.Namespace) -> None:
    """Serve HTTP and sockets on Twisted, which costs a second to import where nobody needs it."""
    from config.daphne_server import BoundedServer, reactor, twisted_loop

    listener = listen(options)
    server = BoundedServer(
        application,
        endpoints=[f"fd:fileno={listener.fileno()}"],
        signal_handlers=False,
        websocket_max_message_size=LARGEST_MESSAGE,
        websocket_max_frame_size=LARGEST_MESSAGE,
        application_close_timeout=CLOSE_SECONDS,
        server_name="andrea",
    )
    drain = Drain(lambda: reactor.callFromThread(server.stop))
    for sign in (signal.SIGTERM, signal.SIGINT):
        twisted_loop.add_signal_handler(sign, drain.begin, sign)
    twisted_loop.call_soon(open_for_calls)
    server.run()


class UvicornServer(uvicorn.Server):
    """uvicorn, which otherwise closes every socket as soon as it is told to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._drain = Drain(self._stop)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, *arguments: object, **keywords: object) -> None:
        """Remember the loop: a signal may interrupt anything and must only schedule."""
        self._loop = asyncio.get_running_loop()
        open_for_calls()
        await super().startup(*arguments, **keywords)  # type: ignore[arg-type]

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain instead of ending at once."""
        if self._loop is None:
            super().handle_exit(sig, frame)
        else:
            self._loop.call_soon_threadsafe(self._drain.begin, sig)

    def _stop(self) -> None:
        self.should_exit = True


def serve_uvicorn(options: argparse.Namespace) -> None:
    """Serve HTTP and sockets on uvloop and httptools: more calls for each core."""
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        lifespan="off",
        ws_max_size=LARGEST_MESSAGE,
        ws_per_message_deflate=False,  # sound does not shrink, and trying costs a core
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=CLOSE_SECONDS,
    )
    UvicornServer(config).run(sockets=[listen(options)])


SERVERS = {"daphne": serve_daphne, "uvicorn": serve_uvicorn}


def main(arguments: list[str]) -> None:
    """Serve until a signal says otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=sorted(SERVERS), default="daphne")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--fd", type=int, help="an open listening socket in place of a port")
    parser.add_argument(
        "--no-media", action="store_true", help="take no calls: other processes have the media"
    )
    options = parser.parse_args(arguments)
    live.takes_calls = not options.no_media
    log.info("serving with %s", options.server)
    # What is loaded stays: without this a full collection walks all of it, in the middle of calls.
    gc.collect()
    gc.freeze()
    warm_up_in_background()
    SERVERS[options.server](options)


if __name__ == "__main__":
    main(sys.argv[1:])
