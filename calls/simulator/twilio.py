"""Twilio's side of a telephone call: the signed webhook, its TwiML, and the media stream.

Written from what Twilio documents, not from our adapters, so that it can find their mistakes.
Media is mu-law.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
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

from calls.simulator.media_stream import MediaStream

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


class TwilioStream(MediaStream):
    """Twilio's end of one open media stream: the simulated caller's `Telephone`."""

    def __init__(
        self,
        socket: ClientConnection,
        *,
        account_sid: str,
        call_sid: str,
        parameters: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(socket, clock=clock)
        self.account_sid, self.stream_sid = account_sid, new_sid("MZ")
        self.call_sid, self.parameters = call_sid, dict(parameters)

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

    # --- what Twilio receives ---------------------------------------------------------------

    def _check(self, message: Mapping[str, Any]) -> None:
        sid = message.get("streamSid")
        if sid != self.stream_sid:
            raise ValueError(f"{message.get('event')} for {sid}, not {self.stream_sid}")
