"""A Twilio that telephones a running server over real sockets, well-behaved or not.

`place_call` does what Twilio does: rings the webhook, reads the TwiML, opens the media stream.
The well-behaved side is the simulated caller's (`calls.simulator.twilio`), written from Twilio's
documentation; here are the ways to break the rules.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from websockets.asyncio.client import ClientConnection

from calls.simulator.line import Line, Quality
from calls.simulator.media_stream import Received
from calls.simulator.twilio import Account, Answer, TwilioStream, new_sid, signature
from calls.simulator.twilio_relay import RelayLine
from calls.voice.codecs import MULAW_SILENCE

__all__ = [
    "INCOMING_CALL",
    "Account",
    "Answer",
    "Line",
    "Received",
    "RudeRelay",
    "RudeStream",
    "TwilioStream",
    "new_sid",
    "on_the_phone",
    "place_call",
    "signature",
]

INCOMING_CALL = "/api/v1/twilio/incoming-call"
SILENT_FRAME = bytes([MULAW_SILENCE]) * 160


class RudeStream(TwilioStream):
    """A media stream that does on command what Twilio never should."""

    async def media_without_start(self) -> None:
        """Begin with sound."""
        await self.send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        await self.media(SILENT_FRAME)

    async def malformed_json(self) -> None:
        await self.socket.send('{"event":"media","media":{"payload":')

    async def media_that_is_no_base64(self) -> None:
        await self.send_event("media", media={"track": "inbound", "payload": "*****"})

    async def binary(self) -> None:
        await self.socket.send(SILENT_FRAME)

    async def oversized(self, size: int = 1 << 20) -> None:
        """One media message with a payload of `size` bytes."""
        await self.media(SILENT_FRAME[:1] * size)

    async def reordered(self, first: int) -> None:
        """Chunks `first` + 2, `first` + 1, `first`, each at its own time."""
        for chunk in (first + 2, first + 1, first):
            await self.media(SILENT_FRAME, chunk=chunk)

    async def media_after_stop(self) -> None:
        """Say `stop`, and go on talking."""
        stop = {"accountSid": self.account_sid, "callSid": self.call_sid}
        await self.send_event("stop", stop=stop)
        for _ in range(5):
            await self.media(SILENT_FRAME)

    def stop_reading(self) -> None:
        """Let the server's messages pile up in the kernel, for ever."""
        self.socket.transport.pause_reading()

    async def unknown_event(self) -> None:
        await self.send_event("telepathy", telepathy={"thought": "hello"})


class RudeRelay(RelayLine):
    """A ConversationRelay in a hurry, which does on command what Twilio never should."""

    letters_per_second = 600.0

    async def malformed_json(self) -> None:
        await self.socket.send('{"type":"prompt","voicePrompt":')

    async def no_object(self) -> None:
        await self.socket.send("[7]")

    async def binary(self) -> None:
        await self.socket.send(SILENT_FRAME)

    async def unknown_type(self) -> None:
        await self.send(type="telepathy", thought="hello")

    async def prompt_without_words(self) -> None:
        await self.send(type="prompt", lang="es-MX", last=True)

    async def odd_key(self) -> None:
        await self.dtmf("x")

    async def second_setup(self) -> None:
        """Say whose conversation it is once more, and that it is somebody else's."""
        await self.send(type="setup", callSid=new_sid("CA"), customParameters={"token": "forged"})

    async def oversized(self, size: int = 1 << 18) -> None:
        await self.send(type="prompt", voicePrompt="x" * size, last=True)

    async def fail(self, error: str, code: int) -> None:
        """Twilio cannot hold the session any longer, and closes the socket."""
        self.error = error
        await self.socket.close(code)

    async def cut(self) -> None:
        """The connection is gone, without a word."""
        self.socket.transport.abort()


async def place_call(
    account: Account, *, to: str, caller: str = "+14155550100", call_sid: str = ""
) -> tuple[Answer, str]:
    """Ring the server; gives its answer and the call's sid."""
    form = account.incoming(to=to, caller=caller, call_sid=call_sid)
    return await account.post(INCOMING_CALL, form), form["CallSid"]


@contextlib.asynccontextmanager
async def on_the_phone(
    account: Account, *, to: str, caller: str = "+14155550100", quality: Quality | None = None
) -> AsyncIterator[tuple[RudeStream, Line]]:
    """A call in progress, its line already sending silence; hung up at the end."""
    answer, call_sid = await place_call(account, to=to, caller=caller)
    if not answer.stream_url:
        raise ConnectionRefusedError(f"{answer.status}: {answer.said or answer.body[:200]}")
    stream = await RudeStream.open(account, answer, call_sid=call_sid)
    await stream.start()
    line = Line(stream, quality)
    talking = asyncio.create_task(line.run())
    try:
        yield stream, line
    finally:
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
        await stream.stop()


def is_open(socket: ClientConnection) -> bool:
    """Whether neither side has closed the socket."""
    return socket.close_code is None
