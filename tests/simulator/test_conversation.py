"""The simulated caller against an agent that answers by clockwork."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable

import pytest

from calls.simulator.conversation import Conversation, Exchange
from calls.simulator.line import Quality, level
from calls.simulator.playout import PCM16, PlayoutBuffer
from calls.simulator.screen import Screen
from calls.simulator.script import parse
from calls.simulator.scripted import tone
from calls.voice.testing.virtual_time import run_virtually

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
        self.deaf = False
        self.frames = 0
        self._spoke_at: float | None = None

    async def send_frame(self, pcm: bytes) -> None:
        self.frames += 1
        now = self.clock()
        if self.deaf:
            return
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

    async def stop(self) -> None:
        self.ended.set()


def talk(script: str) -> tuple[Clockwork, list[Exchange]]:
    """Follow the script in virtual time; the greeting comes after a tenth of a second."""

    async def run() -> tuple[Clockwork, list[Exchange]]:
        loop = asyncio.get_running_loop()
        telephone = Clockwork(loop.time)
        conversation = Conversation(telephone, Quality())
        loop.call_later(0.1, telephone.answer)
        await conversation.run(parse(script))
        return telephone, conversation.exchanges

    return run_virtually(run())


def test_the_answer_is_timed_from_the_last_frame_with_speech():
    telephone, (exchange,) = talk("say okay")
    assert exchange.said == "Okay."
    assert exchange.response == pytest.approx(ANSWER_AFTER * 1000, abs=21)
    assert len(telephone.playout.stretches) == 2


def test_the_caller_lets_the_agent_finish():
    telephone, exchanges = talk("say okay\nsay okay")
    assert [each.stopped for each in exchanges] == [None, None]
    assert not any(stretch.cleared for stretch in telephone.playout.stretches)


def test_an_interruption_is_timed_from_its_first_frame_with_speech():
    telephone, (question, interruption) = talk("say okay\ninterrupt 0.2 wait\nhang up")
    assert not question.interrupts
    assert interruption.interrupts
    assert interruption.stopped == pytest.approx(0, abs=21)
    assert [stretch.cleared for stretch in telephone.playout.stretches] == [False, True, False]


def test_keys_are_pressed_one_by_one():
    telephone, exchanges = talk("press 12#\npause 1\nhang up")
    assert (telephone.keys, exchanges) == ("12#", [])


def test_an_agent_that_never_stops_or_answers_is_noted_as_that():
    async def run() -> list[Exchange]:
        loop = asyncio.get_running_loop()
        telephone = Clockwork(loop.time)
        conversation = Conversation(telephone, Quality())
        loop.call_later(0.1, telephone.answer)
        loop.call_later(0.2, setattr, telephone, "deaf", True)
        await conversation.run(parse("interrupt 0.5 stop"))
        return conversation.exchanges

    (exchange,) = run_virtually(run())
    assert (exchange.stopped, exchange.response) == (None, None)


def test_an_agent_that_hangs_up_ends_the_talk():
    async def run() -> tuple[int, list[Exchange]]:
        loop = asyncio.get_running_loop()
        telephone = Clockwork(loop.time)
        conversation = Conversation(telephone, Quality())
        loop.call_later(1.0, telephone.ended.set)
        await conversation.run(parse("say okay"))
        return telephone.frames, conversation.exchanges

    assert run_virtually(run()) == (51, [])


def test_the_waterfall_adds_up_on_the_screen():
    out = io.StringIO()
    screen = Screen(out)
    metrics = {
        "endpointing_delay": 400.0, "llm_first_token": 100.0, "tts_first_audio": 50.0,
        "remainder": 25.0, "response_latency": 575.0,
    }  # fmt: skip
    screen.waterfall(metrics)
    assert "575 ms = ▒ end of turn 400 + █ model 100 + ▓ voice 50 + ░ rest 25" in out.getvalue()
    assert out.getvalue().splitlines()[0].count("▒") == 16
    screen.waterfall({"bargein_stop": 210.0})
    assert out.getvalue().count("\n") == 2


def test_the_summary_tells_answers_and_gaps():
    out = io.StringIO()
    answer, prompt = Exchange("hello", 1.0, response=300.0), Exchange("stop", 2.0, response=7000.0)
    Screen(out).summary([answer, prompt], [answer], [0.005, 0.09], "caller_hung_up")
    assert "answered  1 of 2" in out.getvalue()
    assert "median 300 ms, longest 300 ms" in out.getvalue()
    assert "gaps  1 over 20 ms in the agent's speech, longest 90 ms" in out.getvalue()
