"""Twilio's end of a ConversationRelay: it hears the caller and speaks what the server writes.

Words take their time, are told of when they are over, and are silenced by an interruption or by
the next answer, as Twilio does it. What the server must not send is refused with an `error`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from calls.simulator.twilio import SIGNATURE_HEADER, Account, Answer, new_sid, signature

SOCKET_ENDED = "64105"

# What each message of the server's has to have, and may have.
_MESSAGES: Mapping[str, tuple[Mapping[str, type], Mapping[str, type]]] = {
    "text": (
        {"token": str, "last": bool},
        {"lang": str, "interruptible": bool, "preemptible": bool},
    ),
    "sendDigits": ({"digits": str}, {}),
    "language": ({}, {"ttsLanguage": str, "transcriptionLanguage": str}),
    "end": ({}, {"handoffData": str}),
}


class RelayLine:
    """One conversation in text.

    `received` is all that the server sent, `spoken` its words, `heard` those which the caller
    has heard, `refused` what was no message. `wishes` are the noun's attributes.
    """

    letters_per_second: ClassVar[float] = 15.0

    def __init__(
        self,
        socket: ClientConnection,
        account: Account,
        answer: Answer,
        call_sid: str,
    ) -> None:
        self.socket, self.stream_sid, self.call_sid = socket, new_sid("VX"), call_sid
        self._account, self._answer = account, answer
        self.wishes: Mapping[str, str] = {}
        self.received: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []
        self.heard: list[str] = []
        self.handoff = ""
        self.broke = False  # the socket did, without `end`
        self.error = SOCKET_ENDED  # why, if it was not that
        self.ended = asyncio.Event()
        self._words: deque[tuple[str, bool]] = deque()  # and whether they may be interrupted
        self._answer_so_far: list[str] = []
        self._is_complete = True
        self._more = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

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

    @property
    def outcome(self) -> dict[str, str]:
        """What the action is told of the session."""
        told = {"SessionId": self.stream_sid, "SessionDuration": "1", "SessionStatus": "completed"}
        if self.handoff:
            return {**told, "SessionStatus": "ended", "HandoffData": self.handoff}
        if self.broke:
            error = {"ErrorCode": self.error, "ErrorMessage": "The session broke"}
            return {**told, "SessionStatus": "failed", **error}
        return told

    # --- what Twilio sends ------------------------------------------------------------------

    async def start(self, **changes: Any) -> None:
        """Say whose conversation it is, and listen; `changes` replace parts of the setup."""
        setup = {
            "sessionId": self.stream_sid,
            "accountSid": self._account.sid,
            "parentCallSid": "",
            "callSid": self.call_sid,
            "from": "+14155550100",
            "to": "+14155550101",
            "forwardedFrom": "",
            "callType": "PSTN",
            "callerName": "",
            "direction": "inbound",
            "callStatus": "RINGING",
            "customParameters": dict(self._answer.parameters),
        }
        await self.send(type="setup", **{**setup, **changes})
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._speak())]

    async def say(self, text: str, *, last: bool = True, lang: str = "es-MX") -> None:
        """The caller says something, into the agent's words or not."""
        if self._tells("speaker-events"):
            await self.send(type="info", name="clientSpeaking", value="on")
            await self.send(type="info", name="clientSpeaking", value="off")
        await self.send(type="prompt", voicePrompt=text, lang=lang, last=last)

    async def break_in(self) -> bool:
        """The caller speaks while the agent does; whether that silences it."""
        allowed = self.wishes.get("interruptible", "any") in {"any", "speech"}
        if not (self._words and self._words[0][1] and allowed):
            return False
        self._words.clear()
        await self.interrupt(" ".join(self._answer_so_far), 460)
        return True

    async def interrupt(self, heard: str, after_ms: int) -> None:
        """The caller has broken in, having heard so much."""
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
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.ended.set()

    # --- what the server sends --------------------------------------------------------------

    async def _listen(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in self.socket:
                message = json.loads(text)
                self.received.append(message)
                if not _is_message(message):
                    self.refused.append(message)
                    about = f"Invalid message received: {text!r}"
                    await self.send(type="error", description=about)
                elif message["type"] == "text":
                    self._take(message)
                elif message["type"] == "end":
                    self.handoff = message.get("handoffData", "{}")
                    await self.socket.close()
        self.broke = not self.handoff
        self.ended.set()

    def _take(self, message: Mapping[str, Any]) -> None:
        """Words of an answer; those of a new one silence the one before, if it may be."""
        words = [(word, message.get("interruptible", True)) for word in message["token"].split()]
        if words and self._is_complete:
            if self.wishes.get("preemptible") == "true":
                self._words.clear()
            self._answer_so_far = []
        self._is_complete = message["last"]
        self._words.extend(words)
        self._more.set()

    async def _speak(self) -> None:
        while True:
            while self._words:
                word = self._words[0]
                await asyncio.sleep(len(word[0]) / self.letters_per_second)
                if self._words and self._words[0] is word:
                    await self._said(self._words.popleft()[0])
            self._more.clear()
            await self._more.wait()

    async def _said(self, word: str) -> None:
        self.heard.append(word)
        self._answer_so_far.append(word)
        if self._tells("tokens-played"):
            await self.send(type="info", name="tokensPlayed", value=f"{word} ")

    def _tells(self, event: str) -> bool:
        return event in self.wishes.get("events", "").split()


def _is_message(message: Any) -> bool:
    """Whether it is as Twilio's page has it."""
    needed, possible = _MESSAGES.get(message.get("type"), (None, {}))
    if needed is None:
        return False
    known = {"type": str, **needed, **possible}
    return set(needed) <= set(message) <= set(known) and all(
        isinstance(value, known[name]) for name, value in message.items()
    )
