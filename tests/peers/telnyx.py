"""A Telnyx that serves its API, telephones a running server and breaks the rules on command.

    python -m tests.peers.telnyx --server http://127.0.0.1:8000 --port 5011

prints what to set, then takes commands: `call TO`, `say SECONDS`, `press KEY`, `hangup`, `legs`.
The well-behaved side is the simulated caller's (`calls.simulator.telnyx`), written from Telnyx's
documentation; here are the faults.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from websockets.asyncio.client import ClientConnection

from calls.simulator.small_http import Request, Response
from calls.simulator.telnyx import TelnyxCloud, refusal
from calls.simulator.telnyx_legs import Leg, Person
from calls.simulator.telnyx_stream import TelnyxStream
from calls.voice.codecs import MULAW_SILENCE
from tests.peers.faults import Fault, fault_for

__all__ = ["Fault", "Leg", "Person", "RudeCloud", "RudeStream", "TelnyxCloud"]

SILENT_FRAME = bytes([MULAW_SILENCE]) * 160


class RudeStream(TelnyxStream):
    """A media stream that does on command what Telnyx may do, or never should."""

    async def chunks(self, order: Iterable[int], coded: bytes = SILENT_FRAME) -> None:
        """Chunks in any order, again or left out."""
        for chunk in order:
            await self.media(coded, chunk=chunk)

    async def malformed_json(self) -> None:
        await self.socket.send('{"event":"media","media":{"payload":')

    async def binary(self) -> None:
        await self.socket.send(SILENT_FRAME)

    async def oversized(self, size: int = 1 << 20) -> None:
        """One media message with a payload of `size` bytes."""
        await self.media(SILENT_FRAME[:1] * size)

    async def rate_limited(self) -> None:
        await self.complain("100005", "rate_limit_reached", "Too many requests")

    async def end_without_stop(self) -> None:
        """Close in good order, but never say `stop`."""
        await self.close()

    def stop_reading(self) -> None:
        """Let the server's messages pile up in the kernel, for ever."""
        self.socket.transport.pause_reading()


class RudeCloud(TelnyxCloud):
    """Requests take the next of `faults`; webhooks come `twice`, or late and in any order.

    A webhook that is not answered with 2xx comes again `retries` times, to `failover_url`
    where that is set.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.faults: deque[Fault] = deque()
        self.twice = False
        self.retries = 0
        self.failover_url = ""
        self.clients: list[int] = []  # the port that each request came from
        self.stream_class = RudeStream
        self._held: list[tuple[dict[str, Any], str]] | None = None

    async def handle(self, request: Request) -> Response:
        self.clients.append(request.client)
        fault = fault_for(self.faults, request.path)
        if fault is None:
            return await super().handle(request)
        if not fault.late:
            self.requests.append((request.path, request.json()))
            await asyncio.sleep(fault.delay)
            return self._of(fault) if fault.answers else await super().handle(request)
        answer = await super().handle(request)
        await asyncio.sleep(fault.delay)
        return self._of(fault) if fault.answers else answer

    def _of(self, fault: Fault) -> Response:
        if fault.cut:
            return Response(cut=True)
        return refusal(fault.status, fault.code or "10000", "On command", fault.headers)

    def hold(self) -> None:
        """Keep webhooks back until they are released."""
        self._held = []

    async def release(self, seed: int) -> None:
        """Let all that was kept back go out, shuffled."""
        held, self._held = self._held or [], None
        random.Random(seed).shuffle(held)
        for envelope, url in held:
            await self.deliver(envelope, url)

    async def deliver(self, envelope: dict[str, Any], url: str) -> None:
        if self._held is not None:
            self._held.append((envelope, url))
            return
        for _ in range(2 if self.twice else 1):
            await self._deliver_until_taken(envelope, url)

    async def _deliver_until_taken(self, envelope: dict[str, Any], url: str) -> None:
        for attempt in range(1, self.retries + 2):
            target = url if attempt == 1 else self.failover_url or url
            meta = {"attempt": attempt, "delivered_to": target}
            await super().deliver({**envelope, "meta": meta}, target)
            if 200 <= self.delivered[-1][1] < 300:
                return


def is_open(socket: ClientConnection) -> bool:
    """Whether neither side has closed the socket."""
    return socket.close_code is None


# --- a demonstration ----------------------------------------------------------------------


async def _obey(cloud: TelnyxCloud, line: str, legs: list[Leg]) -> None:
    word, _, rest = line.strip().partition(" ")
    leg = legs[-1] if legs else None
    if word == "call":
        legs.append(await cloud.call(to=rest, caller="+14155550100"))
    elif word == "legs":
        for known in cloud.legs.values():
            print(known.id, known.direction, known.to_number, known.state)  # noqa: T201
    elif leg is not None and word == "hangup":
        await cloud.end(leg, "normal_clearing", "caller")
    elif leg is not None and leg.stream is not None and word == "press":
        await leg.stream.dtmf(rest)
    elif leg is not None and leg.stream is not None and word == "say":
        for _ in range(int(float(rest) * 50)):
            await leg.stream.media(SILENT_FRAME)
            await asyncio.sleep(0.02)
    else:
        print("call TO | say SECONDS | press KEY | hangup | legs")  # noqa: T201


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--server", default="http://127.0.0.1:8000")
    parser.add_argument("--port", type=int, default=5011)
    options = parser.parse_args()
    async with RudeCloud(options.server).running(options.port) as cloud:
        print(f"API {cloud.url}, key {cloud.key}, connection {cloud.connection_id},")  # noqa: T201
        print(f"public key {cloud.public_key}", flush=True)  # noqa: T201
        legs: list[Leg] = []
        while line := await asyncio.to_thread(input, "> "):
            await _obey(cloud, line, legs)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt, EOFError):
        asyncio.run(_main())
