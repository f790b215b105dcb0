"""Carries out TwiML documents on a leg of the simulated Twilio (twilio.md, 4)."""

from __future__ import annotations

import asyncio
import contextlib
import io
import wave
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from calls.simulator.twilio import Answer, TwilioStream
from calls.simulator.twilio_relay import RelayLine

if TYPE_CHECKING:
    from calls.simulator.twilio_cloud import Leg, TwilioCloud

UNREACHABLE = "64102"  # the relay's socket is
_HANG_UP = "<Response><Hangup/></Response>"


class Replaced(Exception):
    """A verb asked an address how to go on, and got another document."""

    def __init__(self, document: str) -> None:
        super().__init__("the document was replaced")
        self.document = document


class Script:
    """What one leg does, verb by verb; its end is the leg's."""

    def __init__(self, cloud: TwilioCloud, leg: Leg, document: str) -> None:
        self._cloud, self._leg, self._document = cloud, leg, document
        self._task: asyncio.Task[None] | None = None

    def begin(self, after: Script | None) -> None:
        """Carry it out, once what the leg did before is given up."""
        self._task = self._cloud.later(self._run(after))

    async def give_up(self) -> None:
        """Stop in the middle of a verb, and wait until that has cleaned up."""
        task = self._task
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])

    async def _run(self, after: Script | None) -> None:
        if after is not None:
            await after.give_up()
        document: str | None = self._document
        while document is not None and self._leg.is_alive:
            try:
                await self._carry_out(document)
                document = None
            except Replaced as replaced:
                document = replaced.document
        await self._cloud.end(self._leg, "completed")

    async def _carry_out(self, document: str) -> None:
        for verb in ElementTree.fromstring(document):  # noqa: S314 - the server under test
            await self._VERBS[verb.tag](self, verb)
            if not self._leg.is_alive:
                return

    # --- verbs ------------------------------------------------------------------------------

    async def _say(self, verb: ElementTree.Element) -> None:
        self._leg.said.append(verb.text or "")

    async def _hang_up(self, _verb: ElementTree.Element) -> None:
        await self._cloud.end(self._leg, "completed")

    async def _reject(self, verb: ElementTree.Element) -> None:
        busy = verb.get("reason") == "busy"
        await self._cloud.end(self._leg, "busy" if busy else "no-answer")

    async def _redirect(self, verb: ElementTree.Element) -> None:
        await self._ask(verb.text or "")

    async def _pause(self, verb: ElementTree.Element) -> None:
        await self._answered()
        await asyncio.sleep(float(verb.get("length", "1")))

    async def _play(self, verb: ElementTree.Element) -> None:
        """What can be fetched is played as often as is said; no number of times is for ever."""
        await self._answered()
        content = await self._cloud.fetch(verb.text or "")
        if content is None:
            return
        with wave.open(io.BytesIO(content)) as sound:
            seconds = sound.getnframes() / sound.getframerate()
        self._leg.played.append(verb.text or "")
        times = int(verb.get("loop", "1"))
        await asyncio.sleep(seconds * (times or 1000))

    async def _gather(self, verb: ElementTree.Element) -> None:
        for nested in verb.iterfind("Say"):
            await self._say(nested)
        person = self._cloud.person(self._leg)
        if person.hangs_up:
            await self._cloud.end(self._leg, "completed")
        elif person.keys or verb.get("actionOnEmptyResult") == "true":
            await self._ask(verb.get("action", ""), Digits=person.keys)

    async def _connect(self, verb: ElementTree.Element) -> None:
        """The socket's end is the verb's; only our own end of the leg sends `stop`."""
        await self._answered()
        noun = verb[0]
        opened = await self._open(noun)
        outcome: Mapping[str, str] = {}
        if opened:
            try:
                await self._leg.lines[-1].ended.wait()
            finally:
                await self._leg.lines[-1].stop()
                await self._told(noun, "stream-stopped")
        if noun.tag == "ConversationRelay":
            line = self._leg.lines[-1] if opened else None
            outcome = line.outcome if isinstance(line, RelayLine) else self._unopened()
        if verb.get("action"):
            await self._ask(verb.get("action", ""), **outcome)

    def _unopened(self) -> Mapping[str, str]:
        """A relay that Twilio could not begin."""
        code = self._cloud.relay_error or UNREACHABLE
        return {"SessionStatus": "failed", "ErrorCode": code, "ErrorMessage": "On command"}

    async def _open(self, noun: ElementTree.Element) -> bool:
        named = noun.iterfind("Parameter")
        parameters = {each.get("name", ""): each.get("value", "") for each in named}
        answer = Answer(200, "", 0.0, stream_url=noun.get("url", ""), parameters=parameters)
        is_relay = noun.tag == "ConversationRelay"
        if is_relay and self._cloud.relay_error:
            return False
        kind: type[TwilioStream | RelayLine] = (
            self._cloud.relay_class if is_relay else self._cloud.stream_class
        )
        try:
            line = await kind.open(self._cloud.account, answer, call_sid=self._leg.sid)
        except Exception as error:  # whatever the server's socket is refused with
            await self._told(noun, "stream-error", StreamError=type(error).__name__)
            return False
        if isinstance(line, RelayLine):
            line.wishes = dict(noun.attrib)
        self._leg.lines.append(line)
        await line.start()
        await self._told(noun, "stream-started")
        return True

    async def _told(self, noun: ElementTree.Element, event: str, **more: str) -> None:
        url = noun.get("statusCallback")
        if url:
            sid = self._leg.lines[-1].stream_sid if self._leg.lines else ""
            about = {"AccountSid": self._cloud.sid, "CallSid": self._leg.sid, "StreamSid": sid}
            at = datetime.now(UTC).isoformat()
            await self._cloud.tell(url, {**about, "StreamEvent": event, "Timestamp": at, **more})

    async def _dial(self, verb: ElementTree.Element) -> None:
        await self._answered()
        conference = verb.find("Conference")
        if conference is not None:
            await self._meet(conference)
            outcome: Mapping[str, str] = {"DialCallStatus": "completed"}
        else:
            outcome = await self._ring(verb)
        if verb.get("action") and self._leg.is_alive:
            await self._ask(verb.get("action", ""), **outcome)

    async def _ring(self, verb: ElementTree.Element) -> Mapping[str, str]:
        child = self._cloud.child(self._leg, verb.findtext("Number", ""), verb.get("callerId", ""))
        try:
            if not await self._cloud.ring(child):
                return {"DialCallStatus": child.status, "DialCallSid": child.sid}
            self._leg.bridged_to, child.bridged_to = child, self._leg
            await child.done.wait()
        finally:
            await self._cloud.end(child, "completed")
        return {"DialCallStatus": "completed", "DialCallSid": child.sid}

    async def _meet(self, conference: ElementTree.Element) -> None:
        """Be in a room with whoever comes, until one of those leaves that it ends with."""
        room = self._cloud.room(conference.text or "")
        room.enter(self._leg)
        try:
            await room.over.wait()
        finally:
            room.leave(self._leg)
            if conference.get("endConferenceOnExit") == "true":
                self._cloud.end_room(room)

    # --- in between -------------------------------------------------------------------------

    async def _answered(self) -> None:
        """The first verb that needs the caller's ear picks up."""
        if self._leg.status == "ringing":
            await self._cloud.move(self._leg, "in-progress")

    async def _ask(self, url: str, **more: str) -> None:
        """Ask an address how to go on; without an answer the call is over (11200)."""
        raise Replaced(await self._cloud.ask(self._leg, url, **more) or _HANG_UP)

    _VERBS: Mapping[str, Callable[[Script, ElementTree.Element], Awaitable[None]]] = {
        "Say": _say,
        "Hangup": _hang_up,
        "Reject": _reject,
        "Redirect": _redirect,
        "Pause": _pause,
        "Play": _play,
        "Gather": _gather,
        "Connect": _connect,
        "Dial": _dial,
    }
