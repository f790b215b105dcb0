"""What we ask of Twilio, through its own SDK (twilio.md, 6 to 9)."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar

import httpx
from twilio.base.exceptions import TwilioRestException

from agents.brain.errors import BadKey, BadRequest, NetworkFailure, ProviderTimeout
from calls.providers.carriers.port import (
    Checked,
    Dial,
    Handover,
    LegGone,
    OutgoingMessage,
    StreamTarget,
    Unsupported,
)
from calls.providers.carriers.signals import MessageKind
from calls.providers.carriers.twilio import twiml
from calls.providers.carriers.twilio.client import NAME, HttpxClient, client_for, error_of
from calls.providers.carriers.twilio.credentials import TwilioCredentials
from calls.providers.carriers.twilio.events import Kind
from calls.providers.http_errors import error_of_status

T = TypeVar("T")

# Every step of a call is told to us; by default Twilio tells only the last.
_STEPS = ["initiated", "ringing", "answered", "completed"]
_RECORDING_EVENTS = ["completed", "absent"]


class TwilioApi:
    """One account at Twilio; implements `CarrierApi`.

    `signals_url` in orders is our webhooks' address up to the kind of callback. Twilio takes no
    id for a command, so nothing here may be repeated blindly but what is the same done twice.
    """

    def __init__(
        self, credentials: TwilioCredentials, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._credentials = credentials
        self._http = HttpxClient(transport)
        self._client = client_for(credentials, self._http)

    async def place(self, dial: Dial) -> str:
        """Call somebody; the answered call is connected to our media socket."""
        options: dict[str, Any] = {
            "to": dial.to_number,
            "from_": dial.from_number,
            "twiml": twiml.stream(
                dial.stream, action_url=_address(dial.signals_url, "after-stream")
            ),
            "status_callback": _address(dial.signals_url, Kind.CALL_STATUS),
            "status_callback_event": _STEPS,
            "timeout": dial.ring_seconds,
            "time_limit": dial.limit_seconds,
        }
        if dial.detect_machine:  # asynchronously: nobody waits in silence for the verdict
            options |= {
                "machine_detection": "DetectMessageEnd",
                "async_amd": "true",
                "async_amd_status_callback": _address(dial.signals_url, Kind.MACHINE),
            }
        if dial.stream.record:
            options |= _recording(dial.signals_url)
        created = await self._ask(self._client.calls.create_async(**options))
        return str(created.sid)

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
        self,
        leg: str,
        text: str,
        language: str,
        command_id: uuid.UUID,
    ) -> None:
        """Let Twilio's own voice say it."""
        await self._instruct(leg, twiml.say_and_hang_up(text, language=language))

    async def hang_up(self, leg: str, command_id: uuid.UUID) -> None:
        """End the call, however far it is."""
        try:
            await self._ask(self._client.calls(leg).update_async(status="completed"))
        except LegGone:
            return

    async def hand_over(self, handover: Handover) -> None:
        """Dial the person; what the person hears first and presses is asked of our webhooks."""
        await self._instruct(handover.leg, twiml.hand_over(handover))

    async def send_dtmf(self, leg: str, keys: str, command_id: uuid.UUID) -> None:
        """Keys go out as tones through the media stream, which any other order would end."""
        raise Unsupported(NAME, "keys are sent as tones through the media stream")

    async def send_message(self, message: OutgoingMessage) -> str:
        """Send an SMS or a WhatsApp message; the MessageSid."""
        prefix = "whatsapp:" if message.kind is MessageKind.WHATSAPP else ""
        options: dict[str, Any] = {
            "to": prefix + message.to_number,
            "from_": prefix + message.from_number,
            "status_callback": _address(message.signals_url, Kind.MESSAGE_STATUS),
        }
        if message.template:
            values = json.dumps(dict(message.template_values))
            options |= {"content_sid": message.template, "content_variables": values}
        else:
            options |= {"body": message.text}
        if message.media:
            options["media_url"] = list(message.media)
        created = await self._ask(self._client.messages.create_async(**options))
        return str(created.sid)

    async def recording(self, recording_id: str, url: str) -> AsyncIterator[bytes]:
        """The recording's WAV with both channels, as it comes."""
        auth = self._credentials.user_and_password
        try:
            async with self._http.stream(f"{url}.wav?RequestedChannels=2", auth) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise error_of_status(NAME, answer.status_code)
                async for piece in answer.aiter_bytes():
                    yield piece
        except httpx.TimeoutException:
            raise ProviderTimeout(NAME, "the recording stopped coming") from None
        except httpx.HTTPError as error:
            raise NetworkFailure(NAME, f"the recording broke off: {error}") from None

    async def check(self) -> Checked:
        """Who we are at Twilio, and what is wrong with that."""
        try:
            account = await self._ask(
                self._client.api.accounts(self._credentials.account_sid).fetch_async()
            )
        except BadKey:
            return Checked("", ("Twilio does not accept the account's SID with this token.",))
        except BadRequest as error:
            return Checked("", (f"Twilio knows no such account: {error.message}",))
        problems = () if account.status == "active" else (f"The account is {account.status}.",)
        return Checked(str(account.friendly_name), problems)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _instruct(self, leg: str, document: str) -> None:
        await self._ask(self._client.calls(leg).update_async(twiml=document))

    async def _ask(self, request: Awaitable[T]) -> T:
        try:
            return await request
        except TwilioRestException as error:
            raise error_of(error) from None


def _address(signals_url: str, kind: str) -> str:
    return f"{signals_url.rstrip('/')}/{kind}"


def _recording(signals_url: str) -> dict[str, Any]:
    return {
        "record": True,
        "recording_channels": "dual",
        "recording_status_callback": _address(signals_url, Kind.RECORDING),
        "recording_status_callback_event": _RECORDING_EVENTS,
    }
