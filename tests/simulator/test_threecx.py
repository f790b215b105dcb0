"""Whole calls at the simulated 3CX: our listener, commands and sound with the real voice loop."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from calls.line.conduct import conduct
from calls.line.live import LiveCalls
from calls.providers.carriers.bearer import MemoryTokens
from calls.providers.carriers.port import StreamTarget
from calls.providers.carriers.signals import Answered, Ringing, Signal
from calls.providers.carriers.threecx.api import ThreeCxApi
from calls.providers.carriers.threecx.attach import Streams
from calls.providers.carriers.threecx.credentials import ThreeCxCredentials
from calls.providers.carriers.threecx.events import Listener, ListenOptions
from calls.providers.carriers.threecx.rest import ThreeCxRest
from calls.simulator import clips, conversation
from calls.simulator.bench_server import ScriptedCall
from calls.simulator.conversation import Conversation
from calls.simulator.line import Quality
from calls.simulator.script import HangUp, Interrupt, Say
from calls.simulator.threecx import KEY, NobodyListens, ThreeCxTelephone


class Answerer:
    """The smallest server: whoever rings is answered and talked to."""

    def __init__(self, port: int, recordings: Path) -> None:
        self.recordings = recordings
        credentials = ThreeCxCredentials(
            base_url=f"http://127.0.0.1:{port}", client_id="ai", client_secret=KEY
        )
        self.api = ThreeCxApi(ThreeCxRest(credentials, MemoryTokens()))
        self.streams = Streams(self.api.control)
        self.listener = Listener(
            self.api.control, self.take, options=ListenOptions(first_wait=0.05, longest_wait=0.1)
        )
        self.counts: Counter[str] = Counter()
        self.tasks: set[asyncio.Task[None]] = set()
        self.signals: list[Signal] = []

    def take(self, signal: Signal) -> None:
        self.signals.append(signal)
        self.streams.take(signal)
        if isinstance(signal, Ringing):
            self._start(self.api.answer(signal.leg, StreamTarget("", {}), uuid.UUID(int=1)))
        elif isinstance(signal, Answered):
            self._start(self._talk(signal.leg))

    def _start(self, work) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _talk(self, leg: str) -> None:
        media = await self.streams.open(leg)
        self.counts[
            await conduct(ScriptedCall(Counter(), self.recordings), media, LiveCalls())
        ] += 1


@asynccontextmanager
async def answering(port: int, recordings: Path):
    answerer = Answerer(port, recordings)
    running = asyncio.create_task(answerer.listener.run())
    try:
        yield answerer
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        async with asyncio.timeout(5):
            await asyncio.gather(*answerer.tasks)
        await answerer.api.aclose()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


async def test_a_caller_is_answered_interrupts_and_hangs_up(monkeypatch, tmp_path):
    monkeypatch.setattr(conversation, "PATIENCE", 1.5)  # this agent greets nobody
    port = free_port()
    async with answering(port, tmp_path) as answerer:
        telephone = await ThreeCxTelephone.call(caller="+49170", dialled="+4930", port=port)
        talk = Conversation(telephone, Quality())
        question = clips.find("how-much")
        async with asyncio.timeout(20):
            await talk.run([Say(question), Interrupt(0.4, question), HangUp()])
        await telephone.stop()
    assert answerer.counts == {"caller_hung_up": 1}
    first, second = talk.exchanges
    assert first.response is not None
    assert second.stopped is not None
    assert telephone.party.most_ahead < 0.4  # 0.2 where nothing is late
    assert telephone.party.played.stretches[0].sound


async def test_a_pbx_that_no_server_comes_to_says_what_to_set_up():
    with pytest.raises(NobodyListens, match="API key simulated-3cx"):
        await ThreeCxTelephone.call(caller="+1", dialled="+2", port=free_port(), patience=0.05)


async def test_a_call_that_nobody_picks_up_is_given_up(tmp_path):
    port = free_port()
    async with answering(port, tmp_path) as answerer:
        answerer.take = lambda _signal: None
        answerer.listener._tell = lambda _signal: None
        with pytest.raises(NobodyListens, match="nobody picked up"):
            await ThreeCxTelephone.call(caller="+1", dialled="+2", port=port, patience=0.5)
