"""Talks to an agent as a script says, and takes the times at the caller's own end of the line."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from calls.simulator.line import Line, Quality, Utterance, level
from calls.simulator.playout import PlayoutBuffer
from calls.simulator.script import HangUp, Interrupt, Pause, Press, Say, Step
from calls.voice.resample import resample

VOICE_LEVEL = 700  # root mean square of PCM16 above which it is the agent, not the room
QUIET_SECONDS = 0.8  # of silence after which the agent is taken to be done
PATIENCE = 12.0  # seconds that the caller waits for an answer
STOP_PATIENCE = 2.0  # seconds that the caller waits for the agent to stop


class Telephone(Protocol):
    """One carrier's stream, as the caller holds it."""

    sample_rate: int
    playout: PlayoutBuffer
    ended: asyncio.Event
    clock: Callable[[], float]
    on_sound: Callable[[bytes], None]
    on_clear: Callable[[], None]

    async def send_frame(self, pcm: bytes) -> None: ...

    def lose_frame(self) -> None: ...

    async def dtmf(self, digit: str) -> None: ...

    async def stop(self) -> None: ...


@dataclass(slots=True)
class Exchange:
    """One thing that the caller did and how the agent took it. Times in ms, None if never."""

    said: str
    at: float  # seconds since the agent's first sound
    response: float | None = None  # last frame of speech sent to first voice received
    stopped: float | None = None  # first frame of speech sent to the agent being cut
    interrupts: bool = False


class Conversation:
    """One call's talk. `on_exchange` is told of each exchange once it is complete."""

    def __init__(
        self,
        telephone: Telephone,
        quality: Quality,
        on_exchange: Callable[[Exchange], None] = lambda _exchange: None,
    ) -> None:
        self.telephone, self.on_exchange = telephone, on_exchange
        self.line = Line(telephone, quality, telephone.clock)
        self.exchanges: list[Exchange] = []
        self.began = telephone.clock()
        self._changed = asyncio.Event()
        self._voice_at: list[float] = []  # when each piece of voice came
        self._voice_until = 0.0
        self._cleared_at = 0.0
        telephone.on_sound, telephone.on_clear = self._sound, self._clear

    async def run(self, steps: list[Step]) -> None:
        """Hear the greeting, follow the steps, end when the script or the agent does."""
        talking = asyncio.create_task(self.line.run())
        following = asyncio.create_task(self._follow(steps))
        hung_up = asyncio.create_task(self.telephone.ended.wait())
        try:
            await asyncio.wait({talking, following, hung_up}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
        finally:
            for task in (talking, following, hung_up):
                task.cancel()
            await asyncio.gather(talking, following, hung_up, return_exceptions=True)

    async def _follow(self, steps: list[Step]) -> None:
        await self._voice_after(self.began)
        for number, step in enumerate(steps):
            following = steps[number + 1] if number + 1 < len(steps) else None
            await self._take(step, cut_short=isinstance(following, Interrupt))
            if isinstance(step, HangUp):
                return
        await self._agent_done()

    async def _take(self, step: Step, *, cut_short: bool) -> None:
        """Do one step; the answer to it is heard out unless the next step cuts it short."""
        match step:
            case Say(clip):
                await self._agent_done()
                await self._speak(Exchange(clip.text, self._now()), clip.pcm())
            case Interrupt(after, clip):
                await asyncio.sleep(after)
                await self._speak(Exchange(clip.text, self._now(), interrupts=True), clip.pcm())
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Press(digits):
                for digit in digits:
                    await self.telephone.dtmf(digit)
                    await asyncio.sleep(0.2)
        if not cut_short and not isinstance(step, HangUp):
            await self._agent_done()

    async def _speak(self, exchange: Exchange, pcm: bytes) -> None:
        words = self.line.say(resample(pcm, 8000, self.telephone.sample_rate))
        if exchange.interrupts:
            exchange.stopped = await self._stopped(words)
        await words.done.wait()
        unstopped = exchange.interrupts and exchange.stopped is None
        answered = None if unstopped else await self._voice_after(words.ended)
        if answered is not None:
            exchange.response = (answered - words.ended) * 1000
        self.exchanges.append(exchange)
        self.on_exchange(exchange)

    async def _stopped(self, words: Utterance) -> float | None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_PATIENCE):
                while not words.started or self._cleared_at < words.started:
                    await self._change()
                return (self._cleared_at - words.started) * 1000
        return None

    async def _voice_after(self, moment: float) -> float | None:
        """When the first of the agent's voice came after that; None if the caller gave up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while True:
                    for at in self._voice_at:
                        if at > moment:
                            return at
                    await self._change()
        return None

    async def _agent_done(self) -> None:
        """Wait until the agent has been silent for a moment."""
        while (left := self._voice_until + QUIET_SECONDS - self.telephone.clock()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(left)

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _sound(self, pcm: bytes) -> None:
        if level(pcm) > VOICE_LEVEL:
            self._voice_at.append(self.telephone.clock())
            self._voice_until = self.telephone.playout.plays_until
            self._changed.set()

    def _clear(self) -> None:
        self._cleared_at = self._voice_until = self.telephone.clock()
        self._changed.set()

    def _now(self) -> float:
        """Seconds since the greeting began, which is where the server's clock starts too."""
        return self.telephone.clock() - (self._voice_at[0] if self._voice_at else self.began)
