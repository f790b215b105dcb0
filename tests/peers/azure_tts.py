"""A stand-in for Azure's voices, on the wire protocol that the real SDK speaks.

    python -m tests.peers.azure_tts --port 5000        AZURE_SPEECH_HOST=ws://127.0.0.1:5000

From the command line it speaks with espeak-ng, so that a demonstration is heard. In tests it says
what it is told to, exactly, and misbehaves on demand.
"""

from __future__ import annotations

import argparse
import asyncio
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from calls.voice.codecs import mulaw_encode
from tests.peers import azure_framing as framing
from tests.peers.spoken import Timed, espeak_recording

STREAM_ID = "0A1B2C3D4E5F"
MULAW_8K, PCM_16K = "raw-8khz-8bit-mono-mulaw", "raw-16khz-16bit-mono-pcm"
BYTES_PER_SECOND = {MULAW_8K: 8000, PCM_16K: 32000}

_SSML = "{http://www.w3.org/2001/10/synthesis}"
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(frozen=True, slots=True)
class Request:
    """One `ssml` message with the `synthesis.context` that came before it."""

    ssml: str
    context: dict[str, Any]

    @property
    def root(self) -> ET.Element:
        return ET.fromstring(self.ssml)  # noqa: S314 - the client is our own

    @property
    def text(self) -> str:
        """What is to be said, without markup."""
        return "".join(self.root.itertext())

    @property
    def language(self) -> str:
        return self.root.attrib[_XML_LANG]

    @property
    def voice(self) -> str:
        element = self.root.find(f"{_SSML}voice")
        return "" if element is None else element.attrib["name"]

    @property
    def output_format(self) -> str:
        return str(self.context["synthesis"]["audio"]["outputFormat"])

    @property
    def wants(self) -> dict[str, bool]:
        """The metadata that the SDK asked for, by the service's names."""
        wanted: dict[str, bool] = self.context["synthesis"]["audio"]["metadataOptions"]
        return wanted


@dataclass(frozen=True, slots=True)
class Recording:
    """What is said to a request: audio in the wanted format, words and visemes in ms."""

    audio: bytes
    words: tuple[Timed, ...] = ()
    visemes: tuple[tuple[int, float], ...] = ()


def tones(request: Request) -> Recording:
    """A recording that can be told from any other: 200 ms for each word, all bytes known."""
    rate = BYTES_PER_SECOND[request.output_format] // 5
    texts = request.text.split()
    audio = b"".join(
        bytes((number * 7 + i) % 251 for i in range(rate)) for number in range(len(texts))
    )
    words = tuple(
        Timed(text.strip(".,;:!?¡¿…"), index * 200, index * 200 + 150)
        for index, text in enumerate(texts)
    )
    visemes = tuple((index % 22, index * 100.0) for index in range(2 * len(texts)))
    return Recording(audio, words, visemes)


def espeaking(request: Request) -> Recording:
    """The request spoken by espeak-ng, for demonstrations."""
    rate = 8000 if request.output_format == MULAW_8K else 16000
    spoken = espeak_recording(request.text, request.language, rate)
    audio = mulaw_encode(spoken.pcm) if rate == 8000 else spoken.pcm
    return Recording(audio, spoken.words)


@dataclass
class AzureVoices:
    """Serves `framing.SYNTHESIS_PATH`. All waits are in seconds.

    `first_byte` comes before the first sound, `pace` after each chunk of 100 ms. After `chunks`
    of them the connection is cut, or closed with the code and reason of `close`, or says nothing
    more (`mute`). `requests`, `chunks_sent`, `interrupted` and `open_sockets` tell what happened.
    """

    recording: Callable[[Request], Recording] = tones
    first_byte: float = 0.0
    pace: float = 0.0
    chunks: int | None = None
    close: tuple[int, str] | None = None
    mute: bool = False
    requests: list[Request] = field(default_factory=list)
    chunks_sent: int = 0
    interrupted: int = 0
    open_sockets: int = 0
    turn_over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def routes(self) -> dict[str, framing.Handler]:
        return {framing.SYNTHESIS_PATH: self.serve}

    async def serve(self, connection: ServerConnection) -> None:
        """One client, until it goes: a synthesiser that stops speaking hangs up."""
        self.open_sockets += 1
        turn: asyncio.Task[None] | None = None
        context: dict[str, Any] = {}
        try:
            async for message in connection:
                frame = framing.parse(message)
                if frame.path == "synthesis.context":
                    context = frame.json()
                elif frame.path == "ssml":
                    request = Request(frame.body.decode(), context)
                    self.requests.append(request)
                    turn = asyncio.create_task(self._answer(connection, frame.request_id, request))
        except ConnectionClosed:
            pass
        finally:
            self.open_sockets -= 1
            if turn is not None and not turn.done():
                self.interrupted += 1
                turn.cancel()
            self.turn_over.set()

    async def _answer(self, connection: ServerConnection, turn: str, request: Request) -> None:
        try:
            await self._turn(connection, turn, request)
        except ConnectionClosed:  # a client that stops speaking hangs up
            self.interrupted += 1

    async def _turn(self, connection: ServerConnection, turn: str, request: Request) -> None:
        try:
            recording = self.recording(request)
        except ET.ParseError as error:
            await connection.close(1007, f"SSML is invalid: {error}")
            return
        await self._begin(connection, turn)
        for number, chunk in enumerate(_chunks(recording, request.output_format)):
            if number == self.chunks:
                await self._misbehave(connection)
                return
            await self._metadata(connection, turn, request, recording, number)
            await connection.send(framing.binary("audio", turn, chunk, stream_id=STREAM_ID))
            self.chunks_sent += 1
            await asyncio.sleep(self.pace)
        await connection.send(framing.text("turn.end", turn, {}))
        self.turn_over.set()

    async def _begin(self, connection: ServerConnection, turn: str) -> None:
        service = {"serviceTag": turn}
        await connection.send(framing.text("turn.start", turn, {"context": service}))
        audio = {"type": "inline", "streamId": STREAM_ID}
        await connection.send(framing.text("response", turn, {"context": service, "audio": audio}))
        await asyncio.sleep(self.first_byte)

    async def _misbehave(self, connection: ServerConnection) -> None:
        if self.mute:
            return
        if self.close is not None:
            await connection.close(*self.close)
        else:
            connection.transport.abort()

    async def _metadata(
        self,
        connection: ServerConnection,
        turn: str,
        request: Request,
        recording: Recording,
        chunk: int,
    ) -> None:
        """The words and visemes that sound in this chunk, if the client asked for them."""
        begin, end = chunk * 100, (chunk + 1) * 100
        items: list[dict[str, Any]] = []
        if request.wants["wordBoundaryEnabled"]:
            items += [_word(word) for word in recording.words if begin <= word.start < end]
        if request.wants["visemeEnabled"]:
            items += [_viseme(*viseme) for viseme in recording.visemes if begin <= viseme[1] < end]
        if items:
            await connection.send(framing.text("audio.metadata", turn, {"Metadata": items}))


def _chunks(recording: Recording, output_format: str) -> list[bytes]:
    size = BYTES_PER_SECOND[output_format] // 10
    return [recording.audio[at : at + size] for at in range(0, len(recording.audio), size)]


def _word(word: Timed) -> dict[str, Any]:
    data = {
        "Offset": round(word.start * framing.TICKS_PER_MS),
        "Duration": round((word.end - word.start) * framing.TICKS_PER_MS),
        "text": {"Text": word.text, "Length": len(word.text), "BoundaryType": "WordBoundary"},
    }
    return {"Type": "WordBoundary", "Data": data}


def _viseme(identity: int, at: float) -> dict[str, Any]:
    offset = round(at * framing.TICKS_PER_MS)
    data = {"Offset": offset, "VisemeId": identity, "IsLastAnimation": True}
    return {"Type": "Viseme", "Data": data}


async def _main() -> None:
    parser = argparse.ArgumentParser(description="Azure's voices, played by espeak-ng")
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--key", help="the only key that is let in")
    parser.add_argument("--first-byte", type=float, default=0.12, help="seconds")
    arguments = parser.parse_args()
    voices = AzureVoices(recording=espeaking, first_byte=arguments.first_byte)
    door = framing.FrontDoor(voices.routes, key=arguments.key)
    async with framing.listening(door, arguments.port) as address:
        print(f"AZURE_SPEECH_HOST={address}", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
