"""The server that a load generator telephones: the real consumer, loop and recorder, scripted
providers.

One ASGI application, without database, login or token: the media socket where Twilio finds it,
that of pages that call over WebRTC, and `GET /bench/metrics` with the server's own figures.
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

from calls.conduct import AdmittedCall, conduct
from calls.consumers import MediaConsumer, TwilioMediaConsumer
from calls.live import LiveCalls
from calls.lobby import Seat
from calls.providers.carriers.asgi import Receive, Send
from calls.providers.carriers.errors import Fault, MediaFault
from calls.providers.carriers.stream import CallMedia
from calls.providers.carriers.twilio.media import StreamStart
from calls.providers.carriers.webrtc.ice import IceOptions
from calls.providers.carriers.webrtc.media import WebRtcMedia
from calls.providers.carriers.webrtc.opening import Opening
from calls.simulator.browser import PATH as PAGE_PATH
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

MEDIA_PATH = "/api/v1/ws/media-stream/twilio"
METRICS_PATH = "/bench/metrics"
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
    """Calls of pages over WebRTC."""

    def __init__(self, *, admit: Callable[[], AdmittedCall], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.admit = admit

    async def serve(
        self,
        scope: Any,  # noqa: ARG002
        receive: Receive,
        send: Send,
        seat: Seat,
    ) -> None:
        """Connect, then talk. Raises MediaFault where it cannot."""
        async with seat.idle():
            _, peer = await Opening(receive, send, IceOptions(), "bench", self.limits).start()
        seat.leave()
        if peer is None:
            raise MediaFault(Fault.MISSING_START, "pages are measured over WebRTC")
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
        self._consumer = TwilioMediaConsumer(admit=self._admit_stream, calls=self.calls)
        self._pages = PageConsumer(admit=self._admit, calls=self.calls)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        kind, path = scope["type"], scope.get("path", "")
        if kind == "websocket" and path == MEDIA_PATH:
            await self._consumer(scope, receive, send)
        elif kind == "websocket" and path == PAGE_PATH:
            await self._pages(scope, receive, send)
        elif kind == "websocket":
            await send({"type": "websocket.close", "code": 4404})
        elif kind == "http":
            await self._answer(path, send)

    async def _admit_stream(self, _start: StreamStart) -> AdmittedCall:
        return self._admit()

    def _admit(self) -> AdmittedCall:
        return ScriptedCall(self.counts, self._recordings)

    async def _answer(self, path: str, send: Send) -> None:
        known = path == METRICS_PATH
        body = json.dumps(self.metrics()).encode() if known else b""
        headers = [(b"content-type", b"application/json")]
        status = 200 if known else 404
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

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


def resident_bytes() -> int:
    """Memory of this process that is in RAM."""
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123
        return int(statm.read().split()[1]) * resource.getpagesize()
