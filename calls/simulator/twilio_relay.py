"""Twilio's end of a ConversationRelay: it hears the caller and speaks what the server writes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from calls.simulator.twilio import SIGNATURE_HEADER, Account, Answer, new_sid, signature


class RelayLine:
    """One conversation in text. `received` is all that the server sent, `spoken` its words."""

    def __init__(
        self, socket: ClientConnection, account: Account, answer: Answer, call_sid: str
    ) -> None:
        self.socket, self.stream_sid, self.call_sid = socket, new_sid("VX"), call_sid
        self._account, self._answer = account, answer
        self.received: list[dict[str, Any]] = []
        self.ended = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, account: Account, answer: Answer, *, call_sid: str) -> Self:
        """Open the socket that the TwiML names. Raises what `websockets` does when refused."""
        signed = signature(account.auth_token, answer.stream_url)
        socket = await connect(
            account.reachable(answer.stream_url),
            additional_headers={SIGNATURE_HEADER: signed},
            compression=None,
            proxy=None,
        )
        return cls(socket, account, answer, call_sid)

    @property
    def spoken(self) -> str:
        """All that was to be said."""
        said = (message for message in self.received if message["type"] == "text")
        return "".join(message["token"] for message in said)

    async def start(self) -> None:
        """Say whose conversation it is, and listen."""
        await self.send(
            type="setup",
            sessionId=self.stream_sid,
            accountSid=self._account.sid,
            callSid=self.call_sid,
            direction="inbound",
            customParameters=dict(self._answer.parameters),
        )
        self._listening = asyncio.create_task(self._listen())

    async def say(self, text: str, *, last: bool = True, lang: str = "es-MX") -> None:
        """The caller says something."""
        await self.send(type="prompt", voicePrompt=text, lang=lang, last=last)

    async def interrupt(self, heard: str, after_ms: int) -> None:
        """The caller breaks in, having heard so much."""
        await self.send(
            type="interrupt",
            utteranceUntilInterrupt=heard,
            durationUntilInterruptMs=str(after_ms),
        )

    async def dtmf(self, digit: str) -> None:
        """The caller presses a key."""
        await self.send(type="dtmf", digit=digit)

    async def send(self, **message: Any) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self.socket.send(json.dumps(message))

    async def stop(self) -> None:
        """The caller hangs up: there is no message for that, the socket closes."""
        await self.close()

    async def close(self) -> None:
        await self.socket.close()
        if self._listening is not None:
            await self._listening
        self.ended.set()

    async def _listen(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in self.socket:
                message = json.loads(text)
                self.received.append(message)
                if message["type"] == "end":
                    break
        self.ended.set()
