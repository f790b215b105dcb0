"""A 3CX over real sockets, well-behaved (`calls.simulator.pbx`) or not.

    async with RudePbx().running() as pbx:
        party = pbx.ring()

Every fault is a field or a method of `RudePbx`; none is set at first.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from calls.providers.carriers.bearer import MemoryTokens
from calls.providers.carriers.threecx.credentials import ThreeCxCredentials
from calls.providers.carriers.threecx.rest import ThreeCxRest
from calls.simulator.pbx.parties import FRAME_BYTES, Json, Party, Telephone
from calls.simulator.pbx.server import DTMF, REMOVE, UPSET, Pbx, jwt, keep_talking
from calls.simulator.pbx.web import HttpError, Request

__all__ = [
    "DTMF",
    "FRAME_BYTES",
    "KEY",
    "REMOVE",
    "UPSET",
    "Faults",
    "Party",
    "RudePbx",
    "Telephone",
    "jwt",
    "keep_talking",
]

KEY = "right-key"


@dataclass
class Faults:
    """What goes wrong. `statuses` answer the next requests whose path contains their key; those
    in `late` do so after the request was carried out.

    `duplicates` sends every event twice, `shuffled` holds so many back and mixes them,
    `chunk_bytes` cuts sound into pieces of this size, `slow` seconds pass before each read of
    what is posted, `finalstatus` is what actions answer instead of Success, `refuse_posts` takes
    no sound.
    """

    statuses: list[tuple[str, int]] = field(default_factory=list)
    late: list[tuple[str, int]] = field(default_factory=list)
    duplicates: bool = False
    shuffled: int = 0
    chunk_bytes: int = 0
    slow: float = 0.0
    finalstatus: str = ""
    delay: float = 0.0
    refuse_posts: bool = False


class RudePbx(Pbx):
    """A PBX that does on command what it never should."""

    def __init__(self, client_id: str = "ai") -> None:
        super().__init__(KEY, client_id)
        self.faults = Faults()
        self.tokens = MemoryTokens()
        self._held: list[Json] = []
        self._crumbs = b""
        self._random = random.Random(3)

    def credentials(self, **changes: str) -> ThreeCxCredentials:
        """What an administrator would enter to reach us."""
        fields = {"base_url": self.url, "client_id": self.client_id, "client_secret": KEY}
        return ThreeCxCredentials(**{**fields, **changes})

    def rest(self, **changes: str) -> ThreeCxRest:
        """A client of ours; all of them share their tokens."""
        return ThreeCxRest(self.credentials(**changes), self.tokens)

    # --- faults -----------------------------------------------------------------------------

    async def answer(self, request: Request) -> None:
        await asyncio.sleep(self.faults.delay)
        if self.faults.refuse_posts and (request.method, request.path[-7:]) == ("POST", "/stream"):
            raise HttpError(403, "as told")
        self._fail(request.path)
        await super().answer(request)

    async def respond(self, request: Request, content: Any) -> None:
        status = _taken(self.faults.late, request.path)
        if status:
            raise HttpError(status, "too late")
        await super().respond(request, content)

    def check_listener(self, path: str, token: str) -> None:
        self._fail(path)
        super().check_listener(path, token)

    def _fail(self, path: str) -> None:
        status = _taken(self.faults.statuses, path)
        if status:
            raise HttpError(status, "as told")

    async def act(self, party: Party, action: str, body: Json) -> Json:
        if self.faults.finalstatus:
            return {
                "finalstatus": self.faults.finalstatus,
                "reason": "PhoneBusy",
                "result": None,
                "reasontext": "the line is busy",
            }
        return await super().act(party, action, body)

    def deliver(self, event: Json) -> None:
        events = [event, event] if self.faults.duplicates else [event]
        if self.faults.shuffled:
            self._held += events
            if len(self._held) < self.faults.shuffled:
                return
            events, self._held = self._held, []
            self._random.shuffle(events)
        for each in events:
            super().deliver(each)

    async def send_sound(self, request: Request, pcm: bytes) -> None:
        size = self.faults.chunk_bytes
        if not size:
            await super().send_sound(request, pcm)
            return
        self._crumbs += pcm
        while len(self._crumbs) >= size:
            piece, self._crumbs = self._crumbs[:size], self._crumbs[size:]
            await super().send_sound(request, piece)

    async def absorbed(self, request: Request) -> AsyncIterator[bytes]:
        async for piece in super().absorbed(request):
            await asyncio.sleep(self.faults.slow)
            yield piece

    def vanish(self, party: Party) -> None:
        """A party is gone, and no event says so."""
        self.leave(party, tell=False)

    def cut_sound(self) -> None:
        """Every stream breaks off; the token is as good as before."""
        for stream in list(self._streams):
            stream.cancel()

    def odd_event(self, kind: Any, entity: str) -> None:
        """Send an event of any kind."""
        self.push(kind, entity)


def _taken(faults: list[tuple[str, int]], path: str) -> int:
    """The status of the first fault for this path, which is over with that; else 0."""
    for place, (part, status) in enumerate(faults):
        if part in path:
            del faults[place]
            return status
    return 0
