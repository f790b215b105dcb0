"""A page in this process: its socket by hand, its connection a real one."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from calls.providers.carriers.positions import Positions
from calls.providers.carriers.webrtc.hearing import Hearing
from calls.providers.carriers.webrtc.ice import IceOptions
from calls.providers.carriers.webrtc.opening import Opening
from calls.providers.carriers.webrtc.speaking import FRAME_SAMPLES
from calls.simulator.webrtc import PagePeer
from calls.voice.clock import LoopClock
from calls.voice.ports import Audio
from tests.calls.sockets import Socket

ICE = IceOptions()
START = {"type": "start", "sample_rate": 16000, "transport": "webrtc"}
PLAIN = {"type": "start", "sample_rate": 16000}
TONE = (8000 * np.sin(2 * np.pi * 440 * np.arange(16000 * 2) / 16000)).astype("<i2").tobytes()
FRAME = 2 * FRAME_SAMPLES


class Page:
    """A page: its socket, its connection, and what it hears."""

    def __init__(self) -> None:
        self.socket = Socket()
        self.heard: list[Audio] = []
        self.peer = self.new_peer()

    def new_peer(self) -> PagePeer:
        return PagePeer(Hearing(LoopClock(), Positions(), self.heard.append).take)

    async def told(self, kind: str, count: int = 1) -> dict[str, Any]:
        async with asyncio.timeout(5):
            while True:
                found = [text for text in self.socket.texts if text["type"] == kind]
                if len(found) >= count:
                    return found[count - 1]
                await asyncio.sleep(0.005)

    async def connect(self, count: int = 1) -> None:
        """Offer on the socket, and connect as it answers."""
        self.socket.put({"type": "offer", "sdp": await self.peer.offer()})
        await self.peer.accept((await self.told("answer", count))["sdp"])

    def talk(self, ms: int) -> None:
        for at in range(0, ms // 20 * FRAME, FRAME):
            self.peer.microphone.put(TONE[at : at + FRAME])

    def opening(self, ice: IceOptions = ICE) -> Opening:
        return Opening(self.socket.receive, self.socket.send, ice, "tests")
