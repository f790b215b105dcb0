"""A Twilio that serves its API, telephones a running server and breaks the rules on command.

The well-behaved side is `calls.simulator.twilio_cloud`, written from Twilio's documentation; here
are the faults. `RudeStream` has those of media streams, `RudeRelay` those of ConversationRelay.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import Any

from calls.simulator.small_http import Request, Response
from calls.simulator.twilio_cloud import Form, Leg, Person, TwilioCloud, refusal
from tests.peers.faults import Fault, fault_for
from tests.peers.twilio import RudeRelay, RudeStream

__all__ = ["Fault", "Leg", "Person", "RudeCloud", "RudeRelay", "RudeStream", "TwilioCloud"]


class RudeCloud(TwilioCloud):
    """Requests take the next of `faults`; callbacks come `twice`, or late and in any order.

    Only callbacks do whose answer matters to nobody: what is asked is asked once.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.faults: deque[Fault] = deque()
        self.twice = False
        self.asks_twice = False
        self.asks = True
        self.delay = 0.0
        self.clients: list[int] = []  # the port that each request came from
        self.stream_class = RudeStream
        self.relay_class = RudeRelay
        self._held: list[tuple[str, Form]] | None = None

    async def handle(self, request: Request) -> Response:
        self.clients.append(request.client)
        fault = fault_for(self.faults, request.path)
        if fault is None:
            return await super().handle(request)
        answer = await super().handle(request) if fault.late or not fault.answers else None
        if answer is None:
            self.requests.append((request.method, request.path, {}))
        await asyncio.sleep(fault.delay)
        return answer if answer is not None and not fault.answers else _of(fault)

    async def tell(self, url: str, form: Form) -> None:
        if self._held is not None:
            self._held.append((url, form))
            return
        await asyncio.sleep(self.delay)
        for _ in range(2 if self.twice else 1):
            await super().tell(url, form)

    async def ask(self, leg: Leg, url: str, **more: str) -> str | None:
        """Twice, as if the first answer had got lost; or never, and the leg stays as it is."""
        if not self.asks:
            await asyncio.Event().wait()
        answer = await super().ask(leg, url, **more)
        return await super().ask(leg, url, **more) if self.asks_twice else answer

    def hold(self) -> None:
        """Keep callbacks back until they are released."""
        self._held = []

    async def release(self, seed: int) -> None:
        """Let all that was kept back go out, shuffled."""
        held, self._held = self._held or [], None
        random.Random(seed).shuffle(held)
        for url, form in held:
            await self.tell(url, form)


def _of(fault: Fault) -> Response:
    if fault.cut:
        return Response(cut=True)
    if fault.content is not None:
        return Response(200, fault.content)
    return refusal(fault.status, int(fault.code or 20500), "On command", fault.headers)
