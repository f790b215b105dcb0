"""The server that a load generator telephones: the real consumer, loop and recorder, scripted
providers.

One ASGI application, without database, login or token: the media sockets where Twilio, Telnyx and
pages find them, `POST /bench/threecx` that has a PBX's leg attached, whose stream's address is its
body, and `GET /bench/metrics` with the server's own figures.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import time
import uuid
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from calls.consumers import MediaConsumer, StreamConsumer
from calls.line.conduct import AdmittedCall, conduct
from calls.line.live import LiveCalls
from calls.line.lobby import Seat
from calls.providers.carriers.asgi import Receive, Send
from calls.providers.carriers.browser import BrowserMedia
from calls.providers.carriers.registry import carrier
from calls.providers.carriers.stream import CallMedia
from calls.providers.carriers.threecx.media import ThreeCxMedia
from calls.providers.carriers.webrtc.ice import IceOptions
from calls.providers.carriers.webrtc.media import WebRtcMedia
from calls.providers.carriers.webrtc.opening import Opening
from calls.simulator.bench_paths import MEDIA_PATH, METRICS_PATH, PBX_PATH, TELNYX_PATH
from calls.simulator.browser import PATH
from calls.simulator.scripted import (
    CountingStore,
    ScriptedBrain,
    ScriptedRecogniser,
    ScriptedVoice,
    SureJudge,
    tone,
)
from calls.voice import CallSession, Phrases, Ports, TurnOptions
from calls.voice.clock import LoopClock
from calls.voice.recording import WavRecorder
from calls.voice.silero import SileroDetector
from calls.voice.watchdog import loop_lag

OPTIONS = TurnOptions(
    vad_min_silence=200,
    endpointing_min=200,
    endpointing_adaptive=False,
    noise_adaptation=False,
    bargein_min_duration=200,
)

_tone = lru_cache(maxsize=2)(tone)


class ScriptedCall:
    """A call that was let in without a question: implements `AdmittedCall`.

    It is recorded, as any call is by default; the file is gone when the call is.
    """

    press = None

    def __init__(self, counts: Counter[str], recordings: Path) -> None:
        self.public_id = uuid.uuid4()
        self._counts = counts
        self._path = recordings / f"{self.public_id}.wav"
        self._recorder: WavRecorder | None = None

    async def begin(self, media: CallMedia) -> CallSession:
        """Build the session that any call gets, round scripted providers."""
        rate = media.sample_rate
        self._recorder = recorder = WavRecorder(self._path, rate)
        ports = Ports(
            media=media,
            detector=SileroDetector(rate),
            recognisers=[ScriptedRecogniser()],
            judge=SureJudge(),
            brain=ScriptedBrain(),
            synthesisers=[ScriptedVoice(rate, _tone(rate))],
            store=CountingStore(self._counts),
            recorder=recorder,
            clock=LoopClock(),
        )
        phrases = Phrases.for_language("en")
        return CallSession(ports, OPTIONS, language="en", greeting=None, phrases=phrases)

    async def hand_off(self, media: CallMedia) -> None:
        """There is nobody else."""

    def close(self, reason: str, media: CallMedia) -> None:  # noqa: ARG002
        self._counts[f"ended.{reason}"] += 1

    async def let_go(self) -> None:
        """Finish the recording, count it and throw it away."""
        if self._recorder is None:
            return
        await self._recorder.aclose()
        self._counts["recorded.calls"] += 1
        self._counts["recorded.ms"] += round(self._recorder.seconds * 1000)
        self._counts["recorded.failures"] += self._recorder.failure is not None
        await asyncio.to_thread(self._path.unlink, missing_ok=True)


class PageConsumer(MediaConsumer):
    """Calls of pages, over WebRTC or not."""

    def __init__(self, *, admit: Callable[[], AdmittedCall[CallMedia]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.admit = admit

    async def serve(
        self,
        scope: Any,  # noqa: ARG002
        receive: Receive,
        send: Send,
        seat: Seat,
    ) -> None:
        """Connect, where the page wants that, then talk."""
        async with seat.idle():
            _, peer = await Opening(receive, send, IceOptions(), "bench", self.limits).start()
        seat.leave()
        if peer is None:
            await conduct(self.admit(), BrowserMedia(receive, send, limits=self.limits), self.live)
            return
        media = WebRtcMedia(peer, IceOptions(), limits=self.limits)
        page = asyncio.ensure_future(media.attend(receive, send))
        await conduct(self.admit(), media, self.live)
        await page


class BenchApplication:
    """The ASGI application; calls are recorded into the folder `recordings` while they last."""

    def __init__(self, recordings: Path, most_calls: int = 2000) -> None:
        self._recordings = recordings
        self.calls = LiveCalls(limit=most_calls)
        self.counts: Counter[str] = Counter()
        self._sockets: dict[str, MediaConsumer] = {
            MEDIA_PATH: self._streams("twilio"),
            TELNYX_PATH: self._streams("telnyx"),
            PATH: PageConsumer(admit=self._admit, calls=self.calls),
        }

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        kind, path = scope["type"], scope.get("path", "")
        if kind == "websocket" and path in self._sockets:
            await self._sockets[path](scope, receive, send)
        elif kind == "websocket":
            await send({"type": "websocket.close", "code": 4404})
        elif kind == "http" and path == PBX_PATH:
            await self._attach((await receive())["body"].decode())
            await _answer(send, {})
        elif kind == "http":
            await _answer(send, self.metrics() if path == METRICS_PATH else None)

    def _streams(self, name: str) -> MediaConsumer:
        door = carrier(name).media
        assert door is not None  # noqa: S101 - both have one
        return StreamConsumer(door=door, admit=self._admit_stream, calls=self.calls)

    async def _admit_stream(self, _start: object) -> AdmittedCall[CallMedia]:
        return self._admit()

    def _admit(self) -> AdmittedCall[CallMedia]:
        return ScriptedCall(self.counts, self._recordings)

    async def _attach(self, url: str) -> None:
        """Open the sound of a leg, and talk on it; when it ends, its caller has left."""
        media = ThreeCxMedia(lambda: asyncio.sleep(0, result=True))
        await media.attach(url, "bench")
        self.calls.in_background(conduct(self._admit(), media, self.calls), url)

    def metrics(self) -> dict[str, Any]:
        """Figures of this moment: ms, seconds of CPU, bytes. With nobody on the line, after a
        collection of garbage, so that what is left is what leaks."""
        if not self.calls:
            gc.collect()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "live_calls": len(self.calls),
            "loop_lag_p50_ms": loop_lag.quantile(0.5),
            "loop_lag_p99_ms": loop_lag.quantile(0.99),
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "wall_seconds": time.monotonic(),
            "rss_bytes": resident_bytes(),
            "objects": len(gc.get_objects()) if not self.calls else None,
            "counts": dict(self.counts),
        }


async def _answer(send: Send, content: dict[str, Any] | None) -> None:
    body = b"" if content is None else json.dumps(content).encode()
    headers = [(b"content-type", b"application/json")]
    status = 404 if content is None else 200
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def resident_bytes() -> int:
    """Memory of this process that is in RAM."""
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123
        return int(statm.read().split()[1]) * resource.getpagesize()
