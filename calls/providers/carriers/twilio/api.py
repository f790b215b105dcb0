"""Commands to Twilio's REST API (twilio.md, 6 to 9)."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from agents.brain.errors import BadKey, BadRequest, ProviderError
from calls.providers.carriers.downloads import media_of
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
from calls.providers.carriers.steps import RECORD, Step
from calls.providers.carriers.twilio import transfer, twiml
from calls.providers.carriers.twilio.addresses import address
from calls.providers.carriers.twilio.client import (
    NAME,
    Form,
    NotFound,
    Pace,
    TwilioClient,
)
from calls.providers.carriers.twilio.credentials import TwilioCredentials
from calls.providers.carriers.twilio.events import Kind, Stage
from calls.providers.carriers.twilio.health import (
    account_problems,
    number_problems,
    rejected_key,
    unknown_account,
    wrong_token,
)
from calls.providers.carriers.twilio.outgoing import form_of
from calls.providers.carriers.twilio.recordings import Recordings

CAPABILITIES = frozenset(Capability)

# Every step of a call is told to us; by default Twilio tells only the last.
_STEPS = ("initiated", "ringing", "answered", "completed")
_RECORDING_EVENTS = ("completed", "absent")
_RING_SECONDS = (5, 600)
_LIMIT_SECONDS = 14_400
_GREETING_SECONDS = "59"  # the longest that Twilio listens to a greeting


class TwilioApi:
    """One account at Twilio; implements `CarrierApi`.

    `signals_url` in orders is our webhooks' address up to the kind of callback (`events.Kind`);
    that of the constructor is where the account's numbers ought to call, for `check`. Twilio
    takes no id for a command: what may have been done is not sent again, and raises.
    """

    def __init__(
        self,
        credentials: TwilioCredentials,
        *,
        base_url: str = "",
        signals_url: str = "",
        pace: Pace | None = None,
    ) -> None:
        self._credentials, self._signals_url = credentials, signals_url
        self._client = TwilioClient(credentials, base_url, pace)
        self._recordings = Recordings(self._client)

    async def open(self) -> None:
        """Connect before the first call has to wait for it. Raises BadKey, NetworkFailure, ..."""
        await self._client.get()

    # --- calls ------------------------------------------------------------------------------

    async def place(self, dial: Dial) -> str:
        """Call somebody; the answered call is connected to our media socket.

        A machine is looked for while the call goes on, so nobody waits for the verdict in
        silence; or before it is connected, and `answered` is asked what to do with whom.
        """
        signals_url = dial.stream.signals_url or dial.signals_url
        target = replace(dial.stream, signals_url=signals_url)
        form = {
            **_leg(dial.to_number, dial.from_number, dial.ring_seconds),
            **_told(address(dial.signals_url, Kind.CALL_STATUS)),
            "TimeLimit": str(min(dial.limit_seconds, _LIMIT_SECONDS)),
        }
        if dial.detect is MachineDetection.OFF or not dial.verdict_first:
            form["Twiml"] = twiml.stream(target)
        else:
            form["Url"] = address(dial.signals_url, Kind.ANSWERED)
        if dial.detect is not MachineDetection.OFF:
            form |= _detection(dial)
        if dial.stream.record:
            form |= {"Record": "true", **_recording(dial.signals_url)}
        return await self._create("Calls", form)

    async def answer(self, leg: str, stream: StreamTarget, command_id: uuid.UUID) -> None:
        """Twilio is answered in the answer to its own webhook."""
        raise Unsupported(NAME, "a call is answered in the answer to its webhook")

    async def reattach(self, leg: str, stream: StreamTarget, command_id: uuid.UUID) -> None:
        """Connect a live call to our media socket anew."""
        await self._instruct(leg, twiml.stream(stream))

    async def refuse(self, leg: str, command_id: uuid.UUID, *, busy: bool) -> None:
        """Twilio is refused in the answer to its own webhook."""
        raise Unsupported(NAME, "a call is refused in the answer to its webhook")

    async def say_and_hang_up(
        self, leg: str, text: str, language: str, command_id: uuid.UUID,
    ) -> None:  # fmt: skip
        """Let Twilio's own voice say it."""
        await self._instruct(leg, twiml.say_and_hang_up(text, language=language))

    async def hang_up(self, leg: str, command_id: uuid.UUID) -> None:
        """End the call, however far it is. One that is over already is no error."""
        try:
            await self._change(leg, {"Status": "completed"}, repeatable=True)
        except LegGone:
            return

    async def send_dtmf(self, leg: str, keys: str, command_id: uuid.UUID) -> None:
        """Keys go out as tones through the media stream, which any other order would end."""
        raise Unsupported(NAME, "keys are sent as tones through the media stream")

    # --- to a person ------------------------------------------------------------------------

    async def hand_over(self, handover: Handover) -> None:
        """Hand the caller to a person.

        Without a briefing Twilio rings the person itself, and the caller hears that. With one
        the person is called on a leg of their own, and `transfer.steps` takes it from there.
        """
        if not handover.briefing:
            await self._instruct(handover.leg, twiml.blind(handover))
            return
        about = transfer.about(handover)
        key_url = address(handover.signals_url, Kind.PERSON_KEY, **about)
        form = {
            **_leg(handover.to_number, handover.caller_id, handover.ring_seconds),
            "Twiml": twiml.brief(handover, action_url=key_url),
            **_told(address(handover.signals_url, Kind.PERSON_STATUS, **about)),
        }
        await self._create("Calls", form)

    async def take(self, step: Step) -> None:
        """Do what a callback called for (`transfer.steps`), or record the leg from now on."""
        about = {**step.arguments, "stage": Stage.JOINED.value}
        if step.action == transfer.JOIN:
            await self._join(step, about)
        elif step.action == transfer.ASK:
            await self._ask_about(about)
        elif step.action == RECORD:
            await self.record(step.leg, str(step.arguments["back"]))
        else:
            raise Unsupported(NAME, f"there is no step {step.action!r}")

    async def _join(self, step: Step, about: dict[str, str]) -> None:
        """Bring the caller to the person. If that fails the person is let go, and tells why.

        Only once the caller has come does the end of the person's leg mean a talk that is over.
        """
        person, room = step.leg, transfer.room(about["handover"])
        document = twiml.join_caller(room, action_url=_after_dial(about))
        try:
            await self._instruct(about["caller"], document)
        except ProviderError as error:
            await self.hang_up(person, step.command_id)
            if not isinstance(error, LegGone):
                raise
            return
        joined = address(about["back"], Kind.PERSON_STATUS, **about)
        try:
            await self._change(person, {"StatusCallback": joined}, repeatable=True)
        except LegGone:
            await self._ask_about(about)

    async def _ask_about(self, about: dict[str, str]) -> None:
        """The person has left: a caller who still waits in the room must not do so for ever."""
        try:
            await self._instruct(about["caller"], twiml.ask(_after_dial(about)))
        except LegGone:
            return

    # --- messages and recordings --------------------------------------------------------------

    async def send_message(self, message: OutgoingMessage) -> str:
        """Send an SMS or a WhatsApp message; the MessageSid."""
        status_url = address(message.signals_url, Kind.MESSAGE_STATUS)
        return await self._create("Messages", form_of(message, status_url))

    @asynccontextmanager
    async def media(self, url: str) -> AsyncGenerator[Media, None]:
        """A file of a message. Only what lies under our own account is fetched."""
        if not url.startswith(f"{self._client.root}/"):
            raise BadRequest(NAME, f"{url[:200]} is no address of this account's")
        async with self._client.download(url) as answer:
            yield media_of(answer)

    async def record(self, leg: str, signals_url: str) -> str:
        """Record a live call from now on, each side on its own channel; the RecordingSid."""
        path = f"Calls/{quote(leg, safe='')}/Recordings"
        try:
            return await self._create(path, _recording(signals_url))
        except NotFound as error:
            raise LegGone(NAME, error.message) from None

    def recording(self, recording_id: str, url: str) -> AsyncIterator[bytes]:
        """The recording's WAV with both channels, as it comes."""
        return self._recordings.read(recording_id)

    # --- the account --------------------------------------------------------------------------

    async def check(self) -> Checked:
        """Who we are at Twilio, and what is wrong with that."""
        sid = self._credentials.account_sid
        try:
            account = await self._client.get()
            name, problems = str(account.get("friendly_name") or ""), account_problems(account)
            numbers = await self._numbers()
            if self._credentials.api_key_sid and not await self._client.takes_token():
                problems += (wrong_token(sid),)
        except BadKey as refused:
            return Checked("", (rejected_key(sid, refused.message),))
        except BadRequest as refused:
            return Checked("", (unknown_account(sid, refused.message),))
        return Checked(name, problems + number_problems(numbers, self._signals_url))

    async def _numbers(self) -> Sequence[dict[str, Any]]:
        found = await self._client.get("IncomingPhoneNumbers", {"PageSize": "100"})
        numbers = found.get("incoming_phone_numbers")
        return [each for each in numbers if isinstance(each, dict)] if numbers else []

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    # --- requests -------------------------------------------------------------------------------

    async def _create(self, path: str, form: Form) -> str:
        sid = (await self._client.post(path, form)).get("sid")
        if not isinstance(sid, str) or not sid:
            raise ProviderError(NAME, f"{path} was answered without a sid")
        return sid

    async def _instruct(self, leg: str, document: str) -> None:
        """Have a live call go on with another document, whatever it does now."""
        await self._change(leg, {"Twiml": document}, repeatable=False)

    async def _change(self, leg: str, form: Form, *, repeatable: bool) -> None:
        try:
            await self._client.post(f"Calls/{quote(leg, safe='')}", form, repeatable=repeatable)
        except NotFound as error:
            raise LegGone(NAME, error.message) from None


def _leg(to_number: str, from_number: str, ring_seconds: int) -> dict[str, str | Sequence[str]]:
    least, most = _RING_SECONDS
    ring = min(max(ring_seconds, least), most)
    return {"To": to_number, "From": from_number, "Timeout": str(ring)}


def _after_dial(about: Mapping[str, str]) -> str:
    return address(about["back"], Kind.AFTER_DIAL, **about)


def _told(status_url: str) -> dict[str, str | Sequence[str]]:
    return {"StatusCallback": status_url, "StatusCallbackEvent": _STEPS}


def _detection(dial: Dial) -> dict[str, str | Sequence[str]]:
    """How a machine is looked for (twilio.md, 6): the end of a greeting may be long in coming."""
    form: dict[str, str | Sequence[str]] = {"MachineDetection": "Enable"}
    if dial.detect is MachineDetection.AFTER_GREETING:
        form = {
            "MachineDetection": "DetectMessageEnd",
            "MachineDetectionTimeout": _GREETING_SECONDS,
        }
    if not dial.verdict_first:
        told = address(dial.signals_url, Kind.MACHINE)
        form |= {"AsyncAmd": "true", "AsyncAmdStatusCallback": told}
    return form


def _recording(signals_url: str) -> dict[str, str | Sequence[str]]:
    return {
        "RecordingChannels": "dual",
        "RecordingStatusCallback": address(signals_url, Kind.RECORDING),
        "RecordingStatusCallbackEvent": _RECORDING_EVENTS,
    }
