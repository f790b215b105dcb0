"""A stand-in for Azure's speech recognition that the real SDK talks to.

It hears by an energy threshold, in the time of the sound and not of the clock, and takes its
words from a `Hearing`: a script, or clips whose texts are known. Faults come on demand.

    python -m tests.peers.azure --port 5000        AZURE_SPEECH_HOST=ws://127.0.0.1:5000

From the command line it understands the simulated caller's clips, or says what it is told to
(`--say "hola" --say "quiero un tour"`, or `--script FILE`, a line an utterance), and speaks too.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from calls.voice.codecs import mulaw_decode
from tests.peers import azure_framing as framing
from tests.peers.azure_framing import TICKS_PER_MS, Frame, FrontDoor
from tests.peers.azure_tts import AzureVoices, espeaking
from tests.peers.clip_hearing import ClipHearing

WAV_HEADER_BYTES = 44
MULAW_TAG = 7
_LOUD = 300  # RMS of a 20 ms window of speech
_BLOCK_MS = 20
_PARTIAL_MS = 200


class Hearing(Protocol):
    """Knows what is said in an utterance's sound (PCM16 at `rate`), whole or so far."""

    def words(self, pcm: bytes, rate: int, whole: bool) -> str: ...


@dataclass
class Script:
    """Each utterance is the next of these texts, whatever it sounds like; then nothing is."""

    texts: Sequence[str]
    spoken: int = 0

    def words(self, pcm: bytes, rate: int, whole: bool) -> str:
        text = self.texts[self.spoken] if self.spoken < len(self.texts) else ""
        if whole:
            self.spoken += 1
            return text
        so_far = len(pcm) // 2 * 1000 // rate // _PARTIAL_MS
        return " ".join(text.split()[:so_far])


@dataclass
class Faults:
    """What goes wrong.

    After `cut_after` ms of sound the socket breaks, `cuts` times; `mute` never answers; `slow` is
    in seconds before each final; without `answer_commits` only silence ends an utterance.
    """

    mute: bool = False
    cut_after: float | None = None
    cuts: float = math.inf
    slow: float = 0.0
    answer_commits: bool = True


@dataclass
class Turn:
    """One request of a client, as far as its sound came."""

    request_id: str
    header: bytes = b""
    payload: bytearray = field(default_factory=bytearray)
    utterance: bytearray = field(default_factory=bytearray)
    silent_ms: float = 0
    hypothesis: str = ""
    pending: bytes = b""

    @property
    def format_tag(self) -> int:
        return int(struct.unpack_from("<H", self.header, 20)[0])

    @property
    def rate(self) -> int:
        return int(struct.unpack_from("<I", self.header, 24)[0])

    @property
    def bits(self) -> int:
        return int(struct.unpack_from("<H", self.header, 34)[0])

    @property
    def heard_ms(self) -> float:
        return len(self.payload) * 8000 / (self.rate * self.bits)


@dataclass
class RecognitionPeer:
    """Serves `/speech/recognition/…`; what the clients sent is kept for assertions."""

    hearing: Hearing
    faults: Faults = field(default_factory=Faults)
    silence_ms: float = 500
    configs: list[dict[str, Any]] = field(default_factory=list)
    contexts: list[dict[str, Any]] = field(default_factory=list)
    commits: list[Frame] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    finals: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def handle(self, connection: ServerConnection) -> None:
        """Serve one socket until it closes."""
        session = _Session(self, connection)
        try:
            async for message in connection:
                await session.take(framing.parse(message))
        except ConnectionClosed:
            return


class _Session:
    def __init__(self, peer: RecognitionPeer, connection: ServerConnection) -> None:
        self._peer = peer
        self._connection = connection
        self._turn: Turn | None = None

    async def take(self, frame: Frame) -> None:
        if frame.path == "speech.config":
            self._peer.configs.append(frame.json())
        elif frame.path == "speech.context":
            self._peer.contexts.append(frame.json())
        elif frame.path == "audio.commit":
            self._peer.commits.append(frame)
            if self._turn and self._peer.faults.answer_commits:
                await self._finish_utterance(self._turn)
        elif frame.path == "audio":
            await self._audio(frame)

    async def _audio(self, frame: Frame) -> None:
        if self._turn is None or self._turn.request_id != frame.request_id:
            self._turn = Turn(frame.request_id)
            self._peer.turns.append(self._turn)
            await self._send("turn.start", {"context": {"serviceTag": "stand-in"}})
        turn = self._turn
        if not frame.body:
            await self._end_of_sound(turn)
            return
        body = frame.body
        if not turn.header:
            turn.header, body = body[:WAV_HEADER_BYTES], body[WAV_HEADER_BYTES:]
        turn.payload += body
        faults = self._peer.faults
        if faults.cuts > 0 and turn.heard_ms >= (faults.cut_after or math.inf):
            faults.cuts -= 1
            await self._connection.close(1011, "internal error")
            return
        await self._hear(turn, body)

    async def _end_of_sound(self, turn: Turn) -> None:
        await self._finish_utterance(turn)
        await self._phrase("EndOfDictation", "", 0)
        await self._send("turn.end", {})
        self._turn = None

    async def _hear(self, turn: Turn, body: bytes) -> None:
        pcm = turn.pending + (mulaw_decode(body) if turn.format_tag == MULAW_TAG else body)
        block = turn.rate * _BLOCK_MS // 1000 * 2
        whole = len(pcm) // block * block
        turn.pending = pcm[whole:]
        for start in range(0, whole, block):
            await self._hear_block(turn, pcm[start : start + block])

    async def _hear_block(self, turn: Turn, block: bytes) -> None:
        loud = _rms(block) >= _LOUD
        if loud and not turn.utterance:
            await self._send("speech.startDetected", {"Offset": self._offset(turn)})
        if loud or turn.utterance:
            turn.utterance += block
        turn.silent_ms = 0 if loud else turn.silent_ms + _BLOCK_MS
        if turn.utterance and turn.silent_ms >= self._peer.silence_ms:
            await self._finish_utterance(turn)
        elif loud:
            await self._hypothesis(turn)

    async def _hypothesis(self, turn: Turn) -> None:
        text = self._peer.hearing.words(bytes(turn.utterance), turn.rate, False)
        if text and text != turn.hypothesis:
            turn.hypothesis = text
            body = {"Id": "1", "Text": text, "Offset": self._offset(turn), "Duration": 0}
            await self._send("speech.hypothesis", body)

    async def _finish_utterance(self, turn: Turn) -> None:
        if not turn.utterance:
            return
        text = self._peer.hearing.words(bytes(turn.utterance), turn.rate, True)
        duration = len(turn.utterance) // 2 * 1000 // turn.rate * TICKS_PER_MS
        turn.utterance.clear()
        turn.hypothesis = ""
        await asyncio.sleep(self._peer.faults.slow)
        await self._phrase("Success" if text else "NoMatch", text, duration)
        self._peer.finals.put_nowait(text)

    async def _phrase(self, status: str, text: str, duration: int) -> None:
        turn = self._turn
        body: dict[str, Any] = {"Id": "1", "RecognitionStatus": status, "Duration": duration}
        body |= {"Offset": self._offset(turn) if turn else 0, "DisplayText": text}
        if text:
            body["NBest"] = [{"Confidence": 0.9, "Lexical": text, "ITN": text, "Display": text}]
        await self._send("speech.phrase", body)

    async def _send(self, path: str, body: object) -> None:
        if not self._peer.faults.mute and self._turn:
            await self._connection.send(framing.text(path, self._turn.request_id, body))

    @staticmethod
    def _offset(turn: Turn) -> int:
        return int(turn.heard_ms * TICKS_PER_MS)


def _hearing(say: list[str], script: Path | None) -> Hearing:
    texts = say + (script.read_text(encoding="utf-8").splitlines() if script else [])
    return Script(texts) if texts else ClipHearing()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Azure speech, recognition and voices")
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--key", help="the only key that is let in; any without it")
    parser.add_argument("--say", action="append", default=[], help="what an utterance says")
    parser.add_argument("--script", type=Path, help="a file of utterances, one a line")
    return parser.parse_args()


async def _main() -> None:
    arguments = _arguments()
    peer = RecognitionPeer(_hearing(arguments.say, arguments.script))
    voices = AzureVoices(espeaking)
    door = FrontDoor({framing.RECOGNITION_PATH: peer.handle, **voices.routes}, key=arguments.key)
    async with framing.listening(door, arguments.port) as address:
        print(f"AZURE_SPEECH_HOST={address}", flush=True)  # noqa: T201
        while True:
            print(f"heard: {await peer.finals.get() or '(nothing)'}", flush=True)  # noqa: T201


def _rms(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    return float(np.sqrt(np.mean(samples**2)))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_main())
