"""3CX as a carrier: the port's commands in terms of the Call Control API (threecx.md, 3 and 4).

What a PBX is not: it has no voice of its own here, so ours says last words; it detects no
machines, sends no messages and presses no keys by command; keys go out as tones in the sound. It
takes no command ids either: a call that may have been placed must not be placed again blindly.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime

from agents.brain.errors import (
    BadKey,
    BadRequest,
    NetworkFailure,
    ProviderError,
    ProviderTimeout,
)
from calls.providers.carriers.port import (
    Capability,
    Checked,
    Dial,
    Handover,
    LegGone,
    MachineDetection,
    Media,
    OutgoingMessage,
    StreamTarget,
    Unsupported,
)
from calls.providers.carriers.signals import Bridged, EndCause, HandoverEnded, Signal
from calls.providers.carriers.steps import Step
from calls.providers.carriers.threecx.control import ANSWER_SECONDS, ActionFailed, CallControl
from calls.providers.carriers.threecx.entities import CONNECTED, RINGING, DnState, participant_of
from calls.providers.carriers.threecx.health import complaint, explained
from calls.providers.carriers.threecx.rest import (
    NAME,
    NotThere,
    ThreeCxRest,
    leg_gone,
)
from calls.providers.carriers.trunk import leg_name

log = logging.getLogger(__name__)

CAPABILITIES = frozenset({Capability.OUTBOUND, Capability.TRANSFER, Capability.WARM_TRANSFER})

Brief = Callable[[str, Handover], Awaitable[bool]]
"""Talks to the person on this leg, and tells whether they take the caller."""

Speak = Callable[[str, str, str], Awaitable[None]]
"""Says on this leg a text in a language, and returns when it was heard."""

Waiting = Callable[[str], AbstractAsyncContextManager[None]]
"""What the caller on this leg hears while somebody is rung for them."""


async def _nobody_listens(_signal: Signal) -> None:
    return None


def _silence(_leg: str) -> AbstractAsyncContextManager[None]:
    return nullcontext()


class ThreeCxApi:
    """One route point of one PBX; implements `CarrierApi`.

    The PBX answers a hand-over instead of signalling it, so its outcome is told to `tell`.
    `brief` speaks to a person before a warm transfer; without it there is none. `speak` says last
    words; without it there are none.
    """

    def __init__(
        self,
        rest: ThreeCxRest,
        *,
        tell: Callable[[Signal], Awaitable[None]] = _nobody_listens,
        brief: Brief | None = None,
        speak: Speak | None = None,
        waiting: Waiting = _silence,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.control = CallControl(rest)
        self._rest, self._tell, self._now = rest, tell, now
        self._brief, self._speak, self._waiting = brief, speak, waiting
        self._left: dict[str, asyncio.Event] = {}  # of callers for whom somebody is briefed

    # --- calls ------------------------------------------------------------------------------

    async def place(self, dial: Dial) -> str:
        """Call somebody from the route point. Raises ActionFailed with the PBX's reason.

        The PBX's own rules choose the number that is shown and how long a call may last.
        """
        if dial.detect is not MachineDetection.OFF:
            raise _cannot(Capability.MACHINE_DETECTION)
        party = await self.control.make_call(dial.to_number, dial.ring_seconds)
        return leg_name(party.leg, dial.command_id)

    async def answer(self, leg: str, stream: StreamTarget, command_id: uuid.UUID) -> None:
        """Pick up. A route point may have done that by itself, which is no error."""
        try:
            await self.control.act(leg, "answer", {})
        except BadRequest:
            if (await self.control.own(leg)).status != CONNECTED:
                raise

    async def reattach(self, leg: str, stream: StreamTarget, command_id: uuid.UUID) -> None:
        """See that the leg is there: its sound is fetched by us, with `Streams.open`."""
        if (await self.control.own(leg)).status != CONNECTED:
            raise BadRequest(NAME, f"{leg} is not connected, so it has no sound")

    async def refuse(self, leg: str, command_id: uuid.UUID, *, busy: bool) -> None:
        """Send the caller on to the overflow DN while it rings, else drop."""
        overflow = self._rest.credentials.overflow
        if overflow and (await self.control.own(leg)).status == RINGING:
            reason = "PhoneBusy" if busy else "OutOfOfficeHours"
            try:
                await self.control.act(leg, "divert", {"destination": overflow, "reason": reason})
            except BadRequest:  # picked up meanwhile, or nobody there either
                await self.hang_up(leg, command_id)
            return
        await self.hang_up(leg, command_id)

    async def say_and_hang_up(
        self, leg: str, text: str, language: str, command_id: uuid.UUID,
    ) -> None:  # fmt: skip
        """Say it with our own voice. A caller who still rings is turned away without a word."""
        if (await self.control.own(leg)).status == RINGING:
            await self.refuse(leg, command_id, busy=False)
            return
        try:
            if self._speak is not None:
                await self._speak(leg, text, language)
        except LegGone:
            return
        except ProviderError as error:
            log.warning("%s is hung up without a last word: %s", leg, error)
        await self.hang_up(leg, command_id)

    async def hang_up(self, leg: str, command_id: uuid.UUID) -> None:
        """End a leg."""
        try:
            await self.control.act(leg, "drop", {})
        except LegGone:
            return

    async def send_dtmf(self, leg: str, keys: str, command_id: uuid.UUID) -> None:
        """No action for keys is documented: the media stream sends them as tones."""
        raise Unsupported(NAME, "a 3CX presses no keys; send them as tones in the call's sound")

    # --- to a person ------------------------------------------------------------------------

    async def hand_over(self, handover: Handover) -> None:
        """Hand the caller to a person, who may hear a briefing first.

        Returns when it is decided, which takes as long as the person's telephone rings. The
        caller stays with us until the person has picked up, and if they do not.
        """
        try:
            async with self._waiting(handover.leg):
                if handover.briefing and not await self._briefed(handover):
                    raise ActionFailed("the person did not take the call", EndCause.REJECTED)
                await self._route(handover)
        except ActionFailed as failure:
            await self._tell(self._ended(handover, reached=False, cause=failure.cause))
            return
        except ProviderTimeout:  # the telephone rang, and was never picked up
            await self._tell(self._ended(handover, reached=False, cause=EndCause.NO_ANSWER))
            return
        event_id = f"{handover.command_id}:bridged"
        await self._tell(Bridged(event_id=event_id, leg=handover.leg, at=self._now()))
        await self._tell(self._ended(handover, reached=True, cause=EndCause.COMPLETED))
        await self.hang_up(handover.leg, handover.command_id)

    async def _route(self, handover: Handover) -> None:
        """Ring the person while we stay with the caller.

        Where the PBX does not take that for this caller it holds them and rings the person,
        and gives them back if nobody picks up.
        """
        body = {
            "destination": handover.to_number,
            "timeout": handover.ring_seconds,
            "reason": "NoAnswer",
        }
        limit = handover.ring_seconds + ANSWER_SECONDS
        try:
            await self.control.act(handover.leg, "routeto", body, limit)
        except ActionFailed:
            raise
        except BadRequest:
            only = {"destination": handover.to_number}
            await self.control.act(handover.leg, "transferto", only, limit)

    async def _briefed(self, handover: Handover) -> bool:
        """Call the person, say what it is about, and hang up: their telephone rings again.

        The API cannot join two legs that are there, so the one of the briefing ends before the
        caller is routed.
        """
        if self._brief is None:
            raise _cannot(Capability.WARM_TRANSFER)
        left = self._left.setdefault(participant_of(handover.leg), asyncio.Event())
        try:
            await self.control.own(handover.leg)  # who has left by now is briefed of to nobody
            person = await self.control.make_call(handover.to_number, handover.ring_seconds)
            try:
                takes = await _unless(left, self._brief(person.leg, handover))
            finally:
                await self.hang_up(person.leg, handover.command_id)
        finally:
            self._left.pop(participant_of(handover.leg), None)
        if takes is None:
            raise leg_gone(handover.leg)
        return takes

    def caller_left(self, leg: str) -> None:
        """Brief nobody any longer for this caller."""
        if (left := self._left.get(participant_of(leg))) is not None:
            left.set()

    def _ended(self, handover: Handover, *, reached: bool, cause: EndCause) -> HandoverEnded:
        return HandoverEnded(
            event_id=f"{handover.command_id}:handover",
            leg=handover.leg,
            at=self._now(),
            reached=reached,
            cause=cause,
        )

    async def extensions(self) -> list[DnState]:
        """The extensions and queues that this client may see, as they are now."""
        return [state for state in await self.control.states() if state.is_reachable_person]

    # --- what a PBX has not -----------------------------------------------------------------

    async def send_message(self, message: OutgoingMessage) -> str:
        """A PBX sends no messages."""
        raise _cannot(Capability(message.kind))

    def media(self, url: str) -> AbstractAsyncContextManager[Media]:
        """Nor has it any to tell of."""
        raise _cannot(Capability.SMS)

    def recording(self, recording_id: str, url: str) -> AsyncIterator[bytes]:
        """Calls are recorded on our side; this API has no recordings."""
        raise _cannot(Capability.RECORDING)

    # --- the account --------------------------------------------------------------------------

    async def check(self) -> Checked:
        """Try the address, the key, the permission and the DN, and say what is wrong."""
        credentials = self._rest.credentials
        account = f"{credentials.client_id}@{credentials.host}"
        try:
            problem = complaint(await self.control.state(credentials.client_id))
        except (BadKey, NotThere, NetworkFailure, ProviderTimeout) as error:
            problem = explained(error, credentials)
        return Checked(account, (problem,) if problem else ())

    async def take(self, step: Step) -> None:
        """A PBX's events call for nothing by themselves."""
        raise Unsupported(NAME, f"a 3CX takes no step {step.action}")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._rest.aclose()


async def _unless(left: asyncio.Event, briefing: Awaitable[bool]) -> bool | None:
    """Whether the person takes the caller; None as soon as the caller has left."""
    talking, leaving = asyncio.ensure_future(briefing), asyncio.ensure_future(left.wait())
    try:
        await asyncio.wait({talking, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return None if left.is_set() else talking.result()
    except LegGone:  # it rang in vain, or they hung up on the briefing
        return False
    finally:
        talking.cancel()
        leaving.cancel()
        await asyncio.gather(talking, leaving, return_exceptions=True)


def _cannot(capability: Capability) -> Unsupported:
    return Unsupported(NAME, f"a 3CX does no {capability.value.replace('_', ' ')}")
