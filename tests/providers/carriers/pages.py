"""Pages behind the face of an exchange: the simulator's, our adapter, and no carrier between.

A page cannot be called, and there is nobody to be told: what has to do with that is not asked.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from calls.providers.carriers.browser import BrowserMedia
from calls.providers.carriers.stream import CallMedia
from calls.providers.carriers.webrtc.ice import IceOptions
from calls.providers.carriers.webrtc.media import Options, WebRtcMedia
from calls.providers.carriers.webrtc.opening import Opening
from calls.simulator.browser import BrowserStream
from calls.simulator.line import level
from calls.simulator.webrtc import WebRtcStream
from calls.voice.resample import resample
from tests.providers.carriers.exchanges import FarEnd, Line
from tests.providers.carriers.office import Office, open_office

RATE, WIDE = 8000, 16_000
PATIENCE = Options(grace=1000.0)
AUDIBLE = 500  # root mean square


class PageOffice(Office):
    """Takes pages' sockets."""

    def __init__(self) -> None:
        super().__init__()
        self.attending: set[asyncio.Task[None]] = set()

    async def take(self, scope: dict[str, Any], body: bytes) -> tuple[int, str]:
        return 404, ""

    async def open_media(self, receive: Any, send: Any) -> CallMedia:
        _, peer = await Opening(receive, send, IceOptions(), "tests").start()
        if peer is None:
            return BrowserMedia(receive, send)
        media = WebRtcMedia(peer, IceOptions(), options=PATIENCE)
        task = asyncio.create_task(media.attend(receive, send))
        self.attending.add(task)
        task.add_done_callback(self.attending.discard)
        return media

    async def _carry(self, receive: Any, send: Any) -> None:
        stream = await self.open_media(receive, send)
        self.media.append(stream)
        async for event in stream:
            self.events.append(event)
        await stream.hang_up(1000)


class PageFarEnd(FarEnd):
    """Somebody at a page."""

    leg = ""

    def __init__(self, stream: BrowserStream) -> None:
        self._stream = stream
        self._listening = asyncio.create_task(self._be_silent())

    async def _be_silent(self) -> None:
        """A microphone is never without sound."""
        while not self._stream.ended.is_set():
            await self._stream.send_frame(bytes(640))
            await asyncio.sleep(0.02)

    async def say(self, pcm: bytes) -> None:
        wide = resample(pcm, RATE, WIDE)
        for at in range(0, len(wide), 640):
            await self._stream.send_frame(wide[at : at + 640])

    async def press(self, key: str) -> None:
        await self._stream.dtmf(key)

    async def hang_up(self) -> None:
        await self._stream.stop()

    async def lose_media(self) -> None:
        self._listening.cancel()
        self._stream.socket.transport.abort()
        if isinstance(self._stream, WebRtcStream):
            await self._stream._peer.close()

    @property
    def heard(self) -> bytes:
        return b"".join(bytes(stretch.sound) for stretch in self._stream.playout.stretches)

    def has_heard(self, pcm: bytes) -> bool:
        """As much that is audible: Opus gives back no sample as it was."""
        heard = self.heard
        frames = [heard[at : at + 640] for at in range(0, len(heard), 640)]
        audible = sum(640 for frame in frames if level(frame) > AUDIBLE)
        return audible >= 0.9 * 2 * len(pcm)

    @property
    def left_to_play(self) -> float:
        return self._stream.playout.plays_until - self._stream.clock()

    @property
    def is_gone(self) -> bool:
        return self._stream.ended.is_set()


class Pages(Line):
    """A site with pages of one kind."""

    rate = WIDE

    def __init__(self, office: PageOffice, kind: type[BrowserStream]) -> None:
        self.witness, self._kind = office, kind
        self._office, self._streams = office, list[BrowserStream]()

    async def call(self) -> FarEnd:
        count = len(self.witness.media)
        stream = await self._kind.open(self._office.url, agent="", token="")
        self._streams.append(stream)
        await stream.start()
        await self.witness.until(lambda: len(self.witness.media) > count)
        return PageFarEnd(stream)

    async def hang_up(self, far: FarEnd) -> None:
        await self.witness.media[-1].hang_up(1000)

    async def close(self) -> None:
        """Let go of all that is open."""
        for stream in self._streams:
            await stream.stop()
        for media in self.witness.media:
            await media.hang_up(1000)
        await asyncio.gather(*self._office.attending)


@contextlib.asynccontextmanager
async def _at_pages(kind: type[BrowserStream]) -> AsyncIterator[Line]:
    office = PageOffice()
    async with open_office(office):
        pages = Pages(office, kind)
        try:
            yield pages
        finally:
            await pages.close()


PAGES: dict[str, Callable[[], AbstractAsyncContextManager[Line]]] = {
    "browser": lambda: _at_pages(BrowserStream),
    "webrtc": lambda: _at_pages(WebRtcStream),
}
