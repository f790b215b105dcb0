"""One caller of the load generator: talks, listens, sometimes interrupts, and takes the times.

Everything is timed on the caller's own clock and at the caller's own end of the line.
"""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from bench.wire import WireClient
from calls.simulator.clips import index
from calls.simulator.line import SPEECH_LEVEL, level
from calls.simulator.scripted import TONE_SECONDS
from calls.voice.codecs import mulaw_encode

# Without a pause of 200 ms inside, after which the agent would rightly answer.
CLIPS = ("how-much", "opening-hours", "which-tours", "children", "person", "what-to-bring")
FRAME_SECONDS = 0.02
REPLY_BYTES = int(TONE_SECONDS * 8000)
PATIENCE = 5.0  # seconds without an answer until it counts as missing
SILENCE = base64.b64encode(b"\xff" * 160).decode()


def speech() -> list[list[str]]:
    """Each clip as payloads of 20 ms, from its first frame with speech to its last."""
    return [
        [base64.b64encode(mulaw_encode(frame)).decode() for frame in spoken(index()[name].pcm())]
        for name in CLIPS
    ]


def spoken(pcm: bytes) -> list[bytes]:
    """A clip (PCM16 at 8 kHz) in frames of 20 ms, without the silence round it."""
    frames = [pcm[at : at + 320].ljust(320, b"\0") for at in range(0, len(pcm), 320)]
    loud = [number for number, frame in enumerate(frames) if level(frame) > SPEECH_LEVEL]
    return frames[loud[0] : loud[-1] + 1]


@dataclass(slots=True)
class Measured:
    """What all callers measured together, in ms."""

    response: list[float] = field(default_factory=list)
    bargein: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    late_ticks: list[float] = field(default_factory=list)
    unanswered: int = 0
    not_stopped: int = 0
    lost: int = 0
    replies: int = 0


class Caller:
    """One call. `converse` is its whole life."""

    silence: str | bytes = SILENCE

    def __init__(
        self, number: int, clips: Sequence[Sequence[str | bytes]], measured: Measured
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._random = random.Random(number)
        self._clips, self._measured = clips, measured
        self._sid = f"MZ{number:032x}"
        self._call_sid = f"CA{number:032x}"
        self._wire: WireClient
        self._sequence = self._chunk = 0
        self._frames: Sequence[str | bytes] = []
        self._said = 0
        self._spoken: asyncio.Future[float] | None = None
        self._answered: asyncio.Future[float] | None = None
        self._cleared: asyncio.Future[float] | None = None
        self._plays_until = 0.0
        self._reply_bytes = 0
        self._marks: dict[str, asyncio.TimerHandle] = {}
        self._ticking: asyncio.TimerHandle | None = None
        self.over = False

    async def connect(self, host: str, port: int, path: str) -> None:
        """Open the socket, send `connected` and `start`, begin to send silence."""
        _, self._wire = await self._loop.create_connection(
            lambda: WireClient(f"{host}:{port}", path), host, port
        )
        self._wire.on_text, self._wire.on_close = self._take, self._lost
        await self._wire.opened
        self._wire.send_text('{"event":"connected","protocol":"Call","version":"1.0.0"}')
        self._send("start", f'"start":{self._start()}')
        self._due = self._loop.time() + self._random.uniform(0, FRAME_SECONDS)
        self._ticking = self._loop.call_at(self._due, self._tick)

    def _start(self) -> str:
        start = {
            "accountSid": "AC" + "0" * 32,
            "streamSid": self._sid,
            "callSid": self._call_sid,
            "tracks": ["inbound"],
            "customParameters": {},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        }
        return orjson.dumps(start).decode()

    async def converse(self, until: float) -> None:
        """Ask, listen, interrupt every third reply, until the time is up."""
        await asyncio.sleep(self._random.uniform(0.5, 3.5))
        turn = self._random.randrange(3)
        while self._loop.time() < until and not self.over:
            if not await self._ask(self._say()):
                continue
            turn += 1
            while turn % 3 == 0 and self._loop.time() < until:
                turn += 1
                await self._interrupt()
            await asyncio.sleep(max(0.0, self._plays_until - self._loop.time()))
            await asyncio.sleep(self._random.uniform(0.4, 0.9))

    async def talk_briefly(self, seconds: float) -> None:
        """Say something and be gone."""
        self._say()
        await asyncio.sleep(seconds)

    def hang_up(self) -> None:
        """Say `stop` and close."""
        self._silence_all()
        if not self.over:
            self.over = True
            stop = f'"stop":{{"accountSid":"AC{"0" * 32}","callSid":"{self._call_sid}"}}'
            self._send("stop", stop)
            self._wire.close()

    # --- talking ----------------------------------------------------------------------------

    def _say(self) -> asyncio.Future[float]:
        """Start to say something; the result is when its last frame was sent."""
        self._frames, self._said = self._random.choice(self._clips), 0
        self._spoken = self._loop.create_future()
        return self._spoken

    async def _ask(self, spoken: asyncio.Future[float]) -> bool:
        """Wait for the end of what is being said and for the answer; note how long that took."""
        ended = await spoken
        self._answered, self._reply_bytes = self._loop.create_future(), 0
        try:
            first = await asyncio.wait_for(self._answered, PATIENCE)
        except TimeoutError:
            self._measured.unanswered += not self.over
            return False
        self._measured.response.append((first - ended) * 1000)
        self._measured.replies += 1
        return True

    async def _interrupt(self) -> None:
        """Speak into the reply; note when it is stopped, then hear the answer to that."""
        await asyncio.sleep(self._random.uniform(0.3, 0.8))
        spoken = self._say()
        started = max(self._due, self._loop.time())
        self._cleared = self._loop.create_future()
        try:
            stopped = await asyncio.wait_for(self._cleared, 1.5)
            self._measured.bargein.append((stopped - started) * 1000)
        except TimeoutError:
            self._measured.not_stopped += not self.over
        self._cleared = None
        await self._ask(spoken)

    def _tick(self) -> None:
        """Send the frame that is due, and come back in 20 ms."""
        if self.over:
            return
        now = self._loop.time()
        self._measured.late_ticks.append((now - self._due) * 1000)
        payload = self.silence
        if self._said < len(self._frames):
            payload = self._frames[self._said]
            self._said += 1
        self._send_frame(payload)
        if self._spoken and self._said == len(self._frames) and not self._spoken.done():
            self._spoken.set_result(self._loop.time())
        self._due += FRAME_SECONDS
        self._ticking = self._loop.call_at(self._due, self._tick)

    def _send_frame(self, payload: str | bytes) -> None:
        self._chunk += 1
        self._send(
            "media",
            f'"media":{{"track":"inbound","chunk":"{self._chunk}",'
            f'"timestamp":"{(self._chunk - 1) * 20}","payload":"{payload!s}"}}',
        )

    def _send(self, event: str, body: str) -> None:
        self._sequence += 1
        self._wire.send_text(
            f'{{"event":"{event}","sequenceNumber":"{self._sequence}",'
            f'"streamSid":"{self._sid}",{body}}}'
        )

    # --- listening --------------------------------------------------------------------------

    def _take(self, text: bytes) -> None:
        now = self._loop.time()
        message = orjson.loads(text)
        event = message["event"]
        if event == "media":
            self._hear(now, len(message["media"]["payload"]) * 3 // 4)
        elif event == "mark":
            name = message["mark"]["name"]
            at = max(now, self._plays_until)
            self._marks[name] = self._loop.call_at(at, self._echo, name)
        elif event == "clear":
            self._clear(now)

    def _hear(self, now: float, size: int) -> None:
        if self._answered and not self._answered.done():
            self._answered.set_result(now)
        elif 0 < self._reply_bytes < REPLY_BYTES and now > self._plays_until:
            self._measured.gaps.append((now - self._plays_until) * 1000)
        self._reply_bytes += size
        self._plays_until = max(now, self._plays_until) + size / 8000

    def _clear(self, now: float) -> None:
        self._plays_until, self._reply_bytes = now, 0
        for name, timer in list(self._marks.items()):
            timer.cancel()
            self._echo(name)
        if self._cleared and not self._cleared.done():
            self._cleared.set_result(now)

    def _echo(self, name: str) -> None:
        del self._marks[name]
        if not self.over:
            self._send("mark", f'"mark":{{"name":"{name}"}}')

    def _lost(self, _why: str) -> None:
        if not self.over:
            self._measured.lost += 1
        self._silence_all()
        self.over = True

    def _silence_all(self) -> None:
        if self._ticking:
            self._ticking.cancel()
        for timer in self._marks.values():
            timer.cancel()
        self._marks.clear()
