"""The simulated caller against an agent that answers by clockwork."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable

from calls.simulator.conversation import Conversation, Exchange
from calls.simulator.line import Quality, level
from calls.simulator.playout import PCM16, PlayoutBuffer
from calls.simulator.screen import Screen
from calls.simulator.script import parse
from calls.simulator.scripted import tone

ANSWER_AFTER = 0.2  # seconds of silence
ANSWER = tone(16000, 1.0)


class Clockwork:
    """A telephone whose far end answers every utterance, and stops when it is spoken into."""

    sample_rate = 16000

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.playout = PlayoutBuffer(PCM16)
        self.ended = asyncio.Event()
        self.on_sound: Callable[[bytes], None] = lambda _pcm: None
        self.on_clear: Callable[[], None] = lambda: None
        self.keys = ""
        self.frames = 0
        self._spoke_at: float | None = None

    async def send_frame(self, pcm: bytes) -> None:
        self.frames += 1
        now = self.clock()
        if level(pcm) > 200:
            self._spoke_at = now
            if self.playout.plays_until > now:
                self.playout.clear(now)
                self.on_clear()
        elif self._spoke_at is not None and now - self._spoke_at > ANSWER_AFTER:
            self._spoke_at = None
            self.answer()

    def answer(self) -> None:
        self.playout.receive(self.clock(), ANSWER)
        self.on_sound(ANSWER)

    def lose_frame(self) -> None:
        raise AssertionError("nothing gets lost on this line")

    async def dtmf(self, digit: str) -> None:
        self.keys += digit


async def talk(script: str) -> tuple[Clockwork, list[Exchange]]:
    telephone = Clockwork(asyncio.get_running_loop().time)
    conversation = Conversation(telephone, Quality())
    asyncio.get_running_loop().call_soon(telephone.answer)  # the greeting
    await asyncio.wait_for(conversation.run(parse(script)), 20)
    return telephone, conversation.exchanges


async def test_the_answer_is_timed_from_the_last_frame_with_speech():
    telephone, (exchange,) = await talk("say okay")
    assert exchange.said == "Okay."
    assert exchange.response is not None
    assert exchange.response >= ANSWER_AFTER * 1000
    assert len(telephone.playout.stretches) == 2


async def test_an_interruption_is_timed_from_its_first_frame_with_speech():
    _, (question, interruption) = await talk("say okay\ninterrupt 0.2 stop\npress 5\nhang up")
    assert question.stopped is None
    assert interruption.interrupts
    assert interruption.stopped is not None
    assert 0 <= interruption.stopped < 1000


async def test_keys_are_pressed_one_by_one():
    telephone, exchanges = await talk("press 12#\nhang up")
    assert (telephone.keys, exchanges) == ("12#", [])


async def test_an_agent_that_hangs_up_ends_the_talk():
    telephone = Clockwork(asyncio.get_running_loop().time)
    conversation = Conversation(telephone, Quality())
    asyncio.get_running_loop().call_later(0.1, telephone.ended.set)
    await asyncio.wait_for(conversation.run(parse("say okay")), 5)
    assert conversation.exchanges == []
    assert telephone.frames > 0


def test_the_waterfall_adds_up_on_the_screen():
    out = io.StringIO()
    screen = Screen(out)
    metrics = {
        "endpointing_delay": 400.0, "llm_first_token": 100.0, "tts_first_audio": 50.0,
        "remainder": 25.0, "response_latency": 575.0,
    }  # fmt: skip
    screen.waterfall(metrics)
    assert "575 ms = end of turn 400 + model 100 + voice 50 + rest 25" in out.getvalue()
    assert out.getvalue().count("▒") == 16
    screen.waterfall({"bargein_stop": 210.0})
    assert out.getvalue().count("\n") == 1


def test_the_summary_tells_answers_and_gaps():
    out = io.StringIO()
    exchanges = [Exchange("hello", 1.0, response=300.0), Exchange("stop", 2.0)]
    Screen(out).summary(exchanges, [0.005, 0.09], "caller_hung_up")
    assert "answered: 1 of 2" in out.getvalue()
    assert "median 300 ms" in out.getvalue()
    assert "gaps over 20 ms in the agent's speech: 1, longest 90 ms" in out.getvalue()
