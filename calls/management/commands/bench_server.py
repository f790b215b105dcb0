"""Serve the media socket with scripted providers, for any Twilio Media Streams load generator."""

from __future__ import annotations

import argparse
import gc
import logging
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

HOST = "127.0.0.1"  # there is no token: nobody else may reach it


class Command(BaseCommand):
    """`manage.py bench_server --port 9000 --server uvicorn`; prints `ready` when it listens."""

    help = (
        "Serve the real consumer, loop, detector and recorder with scripted providers (loopback)."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--port", type=int, required=True)
        parser.add_argument("--server", choices=("daphne", "uvicorn"), default="uvicorn")

    def handle(self, *_arguments: Any, **options: Any) -> None:
        from calls.providers.carriers.webrtc import engine as webrtc
        from calls.simulator.bench_server import BenchApplication
        from calls.voice import silero

        logging.getLogger("calls").setLevel(logging.WARNING)  # an end of each call is no news here
        silero.load()
        webrtc.load()
        gc.collect()
        gc.freeze()  # as `config.serve` does
        serve = {"daphne": self._serve_daphne, "uvicorn": self._serve_uvicorn}[options["server"]]
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the folder goes as well
        with tempfile.TemporaryDirectory(prefix="andrea-bench-") as folder:
            serve(BenchApplication(Path(folder)), options["port"])

    def _ready(self) -> None:
        self.stdout.write("ready")
        self.stdout.flush()

    def _serve_daphne(self, application: Any, port: int) -> None:
        from daphne.server import Server

        Server(
            application,
            endpoints=[f"tcp:port={port}:interface={HOST}"],
            ready_callable=self._ready,
            websocket_handshake_timeout=30,
        ).run()

    def _serve_uvicorn(self, application: Any, port: int) -> None:
        import uvicorn

        ready = self._ready

        class Server(uvicorn.Server):
            async def startup(self, *arguments: Any, **keywords: Any) -> None:
                await super().startup(*arguments, **keywords)
                ready()

        config = uvicorn.Config(
            application,
            host=HOST,
            port=port,
            loop="uvloop",
            http="httptools",
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            lifespan="off",
            access_log=False,
            log_level="warning",
        )
        Server(config).run()
