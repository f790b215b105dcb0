"""Twilio's side of a telephone call: the signed webhook, its TwiML, and the media stream.

Written from what Twilio documents, not from our adapters, so that it can find their mistakes.
Numbers in messages are strings, media is 20 ms of mu-law every 20 ms, marks come back when the
buffer has played what was before them, all of them at once after a clear.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit
from xml.etree import ElementTree

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from calls.simulator.playout import PlayoutBuffer
from calls.voice.codecs import mulaw_decode, mulaw_encode

SIGNATURE_HEADER = "X-Twilio-Signature"


def signature(auth_token: str, url: str, form: Mapping[str, str] | None = None) -> str:
    """What Twilio signs a request with: HMAC-SHA1 over the URL and the sorted form."""
    signed = url + "".join(name + value for name, value in sorted((form or {}).items()))
    digest = hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a webhook answered: the TwiML's verbs that matter to a caller."""

    status: int
    body: str
    seconds: float
    stream_url: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    action_url: str = ""
    said: tuple[str, ...] = ()
    dialled: str = ""

    @classmethod
    def read(cls, response: httpx.Response, seconds: float) -> Answer:
        """Raises ValueError for a 200 whose body is no TwiML."""
        if response.status_code != 200:
            return cls(response.status_code, response.text, seconds)
        try:
            root = ElementTree.fromstring(response.text)  # noqa: S314 - the server under test
        except ElementTree.ParseError as error:
            raise ValueError(f"the webhook answered no TwiML: {error}") from None
        stream, join = root.find("Connect/Stream"), root.find("Connect")
        return cls(
            status=200,
            body=response.text,
            seconds=seconds,
            stream_url="" if stream is None else stream.get("url", ""),
            parameters={
                parameter.get("name", ""): parameter.get("value", "")
                for parameter in root.iterfind("Connect/Stream/Parameter")
            },
            action_url="" if join is None else join.get("action", ""),
            said=tuple(say.text or "" for say in root.iterfind("Say")),
            dialled=root.findtext("Dial/Number", ""),
        )


@dataclass(frozen=True, slots=True)
class Account:
    """One Twilio account, calling one server.

    `server` is where the server is reached, `public_url` what it was told it is reached at:
    requests go to the former and are signed for the latter, as behind a proxy.
    """

    auth_token: str
    server: str
    public_url: str = ""
    sid: str = "AC" + "0" * 32

    def signed_url(self, path: str) -> str:
        return (self.public_url or self.server).rstrip("/") + path

    async def post(
        self, path: str, form: Mapping[str, str], *, signed_with: str | None = None
    ) -> Answer:
        """Post a signed form; `signed_with` another token, or with "" no signature at all."""
        token = self.auth_token if signed_with is None else signed_with
        headers = {SIGNATURE_HEADER: signature(token, self.signed_url(path), form)} if token else {}
        # Building the client loads every certificate there is, which no carrier does per call.
        async with httpx.AsyncClient(base_url=self.server, timeout=15) as client:
            started = time.perf_counter()
            response = await client.post(path, data=dict(form), headers=headers)
            seconds = time.perf_counter() - started
        return Answer.read(response, seconds)

    def incoming(self, *, to: str, caller: str, call_sid: str = "") -> dict[str, str]:
        """The form of an incoming call."""
        return {
            "AccountSid": self.sid,
            "ApiVersion": "2010-04-01",
            "CallSid": call_sid or new_sid("CA"),
            "CallStatus": "ringing",
            "Direction": "inbound",
            "From": caller,
            "Caller": caller,
            "To": to,
            "Called": to,
        }

    def reachable(self, url: str) -> str:
        """The same path on the server as it is reached from here, for a socket."""
        base = urlsplit(self.server)
        scheme = "wss" if base.scheme == "https" else "ws"
        return urlsplit(url)._replace(scheme=scheme, netloc=base.netloc).geturl()


def new_sid(kind: str) -> str:
    return kind + uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Received:
    """One message from the server: `at` seconds on the caller's clock."""

    at: float
    event: str
    message: Mapping[str, Any]


class TwilioStream:
    """Twilio's end of one open media stream: the simulated caller's `Telephone`."""

    sample_rate = 8000

    def __init__(
        self,
        socket: ClientConnection,
        *,
        account_sid: str,
        call_sid: str,
        parameters: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.socket, self.call_sid, self.parameters = socket, call_sid, dict(parameters)
        self.account_sid, self.stream_sid = account_sid, new_sid("MZ")
        self.clock = clock
        self.playout = PlayoutBuffer()
        self.received: list[Received] = []
        self.on_sound: Callable[[bytes], None] = lambda _pcm: None
        self.on_clear: Callable[[], None] = lambda: None
        self.ended = asyncio.Event()
        self._sequence = 0
        self._chunk = 0
        self._marked = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(
        cls, account: Account, answer: Answer, *, call_sid: str, signed_with: str | None = None
    ) -> Self:
        """Open the socket that the TwiML names. Raises what `websockets` does when refused."""
        token = account.auth_token if signed_with is None else signed_with
        headers = {SIGNATURE_HEADER: signature(token, answer.stream_url)} if token else {}
        socket = await connect(
            account.reachable(answer.stream_url),
            additional_headers=headers,
            compression=None,
            max_size=None,
            proxy=None,
        )
        return cls(socket, account_sid=account.sid, call_sid=call_sid, parameters=answer.parameters)

    # --- what Twilio sends ------------------------------------------------------------------

    async def start(self, **changes: Any) -> None:
        """Send `connected` and `start`, and begin to play; `changes` replace parts of `start`."""
        await self.send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        start = {
            "accountSid": self.account_sid,
            "streamSid": self.stream_sid,
            "callSid": self.call_sid,
            "tracks": ["inbound"],
            "customParameters": self.parameters,
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        }
        await self.send_event("start", start={**start, **changes})
        self.listen()

    def listen(self) -> None:
        """Begin to take and to play what the server sends."""
        self._tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._echo())]

    async def media(
        self, mulaw: bytes, *, chunk: int | None = None, timestamp: int | None = None
    ) -> None:
        """Send one piece of the caller's sound; by itself the numbering goes on from the last."""
        self._chunk = self._chunk + 1 if chunk is None else chunk
        at = (self._chunk - 1) * 20 if timestamp is None else timestamp
        payload = base64.b64encode(mulaw).decode()
        await self.send_event(
            "media",
            media={
                "track": "inbound",
                "chunk": str(self._chunk),
                "timestamp": str(at),
                "payload": payload,
            },
        )

    async def send_frame(self, pcm: bytes) -> None:
        """Send 20 ms of PCM16 of the caller, as `Line` does."""
        with contextlib.suppress(ConnectionClosed):
            await self.media(mulaw_encode(pcm))

    def lose_frame(self) -> None:
        """A frame of the caller gets lost: its number and its time pass."""
        self._chunk += 1

    async def dtmf(self, digit: str) -> None:
        await self.send_event("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    async def stop(self) -> None:
        """The caller hangs up: say so, then close."""
        with contextlib.suppress(ConnectionClosed):
            stop = {"accountSid": self.account_sid, "callSid": self.call_sid}
            await self.send_event("stop", stop=stop)
        await self.close()

    async def send_event(self, event: str, **body: Any) -> None:
        """Send a numbered message of this stream."""
        self._sequence += 1
        head = {"event": event, "sequenceNumber": str(self._sequence)}
        await self.send({**head, "streamSid": self.stream_sid, **body})

    async def send(self, message: Mapping[str, Any]) -> None:
        await self.socket.send(json.dumps(message))

    async def close(self) -> None:
        await self.socket.close()
        await self._finish()

    async def vanish(self) -> None:
        """Be gone, without `stop` and without a closing handshake."""
        self.socket.transport.abort()
        await self._finish()

    async def _finish(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.ended.set()

    # --- what Twilio receives ---------------------------------------------------------------

    async def _receive(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in self.socket:
                await self._take(json.loads(text))
        self.ended.set()

    async def _take(self, message: dict[str, Any]) -> None:
        now, event = self.clock(), str(message.get("event"))
        if message.get("streamSid") != self.stream_sid:
            raise ValueError(f"{event} for {message.get('streamSid')}, not {self.stream_sid}")
        if event == "media":
            sound = base64.b64decode(message["media"]["payload"])
            self.playout.receive(now, sound)
            self.on_sound(mulaw_decode(sound))
        elif event == "mark":
            self.playout.mark(now, message["mark"]["name"])
            self._marked.set()
        elif event == "clear":
            await self._echo_marks(self.playout.clear(now))
            self.on_clear()
        self.received.append(Received(now, event, message))

    async def _echo(self) -> None:
        """Echo marks as playing passes them."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._echo_marks(self.playout.due(self.clock()))
                due = self.playout.next_due()
                wait = None if due is None else max(0.0, due - self.clock())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._marked.wait(), wait)
                self._marked.clear()

    async def _echo_marks(self, names: list[str]) -> None:
        for name in names:
            await self.send_event("mark", mark={"name": name})
