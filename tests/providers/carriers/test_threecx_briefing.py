"""The call before a warm transfer: a person hears what it is about, and presses a key or not."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agents.brain.errors import ProviderDown
from calls.providers.carriers.port import Handover
from calls.providers.carriers.threecx.api import ThreeCxApi
from calls.providers.carriers.threecx.attach import Streams
from calls.providers.carriers.threecx.briefing import Briefer
from calls.providers.carriers.threecx.events import Listener
from tests.peers.threecx import Party, RudePbx, Telephone

WORDS = bytes(3200)


class Desk:
    """A PBX with a caller on the line, and everything that hands them over."""

    def __init__(self, pbx: RudePbx, patience: float) -> None:
        self.pbx = pbx
        self.told: list[Any] = []
        self.fails = False
        self.api = ThreeCxApi(pbx.rest(), tell=self.tell)
        streams = Streams(self.api.control)
        self.api._brief = Briefer(self.api.control, streams, self.speak, patience)
        self.listener = Listener(self.api.control, streams.take)
        self.caller = pbx.ring()
        self.caller.connect()

    async def tell(self, signal: Any) -> None:
        self.told.append(signal)

    async def speak(self, text: str, language: str):
        assert (text, language) == ("Ana wants a refund", "en")
        yield WORDS
        if self.fails:
            raise ProviderDown("voice", "gone")

    async def hand_over(self) -> bool:
        leg = f"{self.caller.id}.{self.caller.call}"
        asked = Handover(leg, "200", "", "", uuid.UUID(int=7), "en", 1, "Ana wants a refund")
        await self.api.hand_over(asked)
        return self.told[-1].reached

    async def person(self) -> Party:
        """The person, once the briefing was heard."""
        async with asyncio.timeout(3):
            while True:
                found = [party for party in self.pbx.own.parties.values() if party.number == "200"]
                if found and found[0].played.stretches:
                    return found[0]
                await asyncio.sleep(0.01)


@asynccontextmanager
async def a_desk(patience: float = 5.0):
    async with RudePbx().running() as pbx:
        desk = Desk(pbx, patience)
        listening = asyncio.create_task(desk.listener.run())
        try:
            yield desk
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await desk.api.aclose()


@pytest.mark.parametrize(("key", "takes"), [("1", True), ("2", False)])
async def test_a_key_decides(key, takes):
    async with a_desk() as desk:
        handing = asyncio.create_task(desk.hand_over())
        desk.pbx.press(await desk.person(), key)
        assert await handing is takes
        assert desk.caller.left.is_set() is takes


async def test_a_person_who_presses_nothing_has_declined():
    async with a_desk(patience=0.05) as desk:
        assert not await desk.hand_over()
        assert not desk.caller.left.is_set()


async def test_a_person_who_hangs_up_has_declined():
    async with a_desk() as desk:
        handing = asyncio.create_task(desk.hand_over())
        desk.pbx.leave(await desk.person())
        assert not await handing


async def test_a_person_who_never_picks_up_has_declined():
    async with a_desk() as desk:
        desk.pbx.telephones["200"] = Telephone(picks_up_after=60)
        assert not await desk.hand_over()
        assert not desk.caller.left.is_set()


async def test_a_voice_that_fails_leaves_the_decision():
    async with a_desk() as desk:
        desk.fails = True
        handing = asyncio.create_task(desk.hand_over())
        desk.pbx.press(await desk.person(), "1")
        assert await handing
