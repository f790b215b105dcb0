"""The simulated caller's telephone at a little 3CX, which the server under test is connected to.

A 3CX is not called by an address: the server comes to it. So a PBX is started here, at the port
that the server's account names, and once the server listens there, its route point rings.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Self

from calls.simulator.pbx.parties import Party
from calls.simulator.pbx.server import Pbx
from calls.simulator.playout import PlayoutBuffer

PORT = 5090
KEY = "simulated-3cx"  # what the server's account has to hold; no real PBX knows it
# Nothing tells a PBX that the agent was cut: its sound just ends. So much silence is taken for
# that, which is less than the agent breathes between sentences.
STOPPED_SECONDS = 0.06


class NobodyListens(Exception):
    """No server came to the PBX, or none picked up; the message says what to set up."""


class ThreeCxTelephone:
    """One caller of a 3CX, from the answer on: the simulated caller's `Telephone`."""

    sample_rate = 8000

    def __init__(self, pbx: Pbx, party: Party, clock: Callable[[], float] = time.monotonic) -> None:
        self.pbx, self.party, self.clock = pbx, party, clock
        self.playout: PlayoutBuffer = party.played
        self.ended = party.left
        self.on_sound: Callable[[bytes], None] = lambda _pcm: None
        self.on_clear: Callable[[], None] = lambda: None
        self._holding = AsyncExitStack()
        party.on_sound = self._hear
        self._watching = asyncio.create_task(self._watch_silence())

    @classmethod
    async def call(
        cls, *, caller: str, dialled: str, port: int = PORT, patience: float = 20.0
    ) -> Self:
        """Start a PBX, wait for the server, ring, and be answered. Raises NobodyListens.

        `patience` is in seconds, for the server to come and again for it to pick up.
        """
        async with AsyncExitStack() as holding:
            pbx = await holding.enter_async_context(Pbx(KEY).running(port))
            await _come_true(lambda: pbx.listened_to, patience, _nobody_came(pbx))
            party = pbx.ring(caller, dialled)
            await _come_true(party.connected.is_set, patience, "it rang, and nobody picked up")
            telephone = cls(pbx, party)
            telephone._holding = holding.pop_all()
        return telephone

    @property
    def leg(self) -> str:
        """The name of this connection at the server."""
        return f"{self.party.id}.{self.party.call}"

    async def send_frame(self, pcm: bytes) -> None:
        """Send 20 ms of PCM16 of the caller."""
        self.party.say(pcm)

    def lose_frame(self) -> None:
        """A PBX's sound has no numbers: what is lost shortens it."""

    async def dtmf(self, digit: str) -> None:
        """Press a key."""
        self.pbx.press(self.party, digit)

    async def stop(self) -> None:
        """Hang up, and take the PBX down."""
        self.pbx.leave(self.party)
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        await self._holding.aclose()

    def _hear(self, pcm: bytes) -> None:
        self.on_sound(pcm)

    async def _watch_silence(self) -> None:
        """Tell when the agent's sound has ended."""
        told = 0.0
        while True:
            until = self.playout.plays_until
            silent = self.clock() - until
            if until > told and silent >= STOPPED_SECONDS:
                told = until
                self.on_clear()
            await asyncio.sleep(0.01)


def _nobody_came(pbx: Pbx) -> str:
    return (
        f"no server came to the PBX at {pbx.url}: give the called agent's tenant a 3CX account "
        f"with that address, client ID {pbx.client_id} and API key {KEY}"
    )


async def _come_true(condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - the PBX has many things to wait for
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise NobodyListens(otherwise) from None
