"""Commands to Telnyx's Call Control (telnyx.md, 3 and 4)."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, Literal
from urllib.parse import quote

from agents.brain.errors import BadKey, BadRequest, ProviderError
from calls.providers.carriers.port import (
    Checked,
    Dial,
    Handover,
    HoldMusic,
    LegGone,
    MachineDetection,
    Media,
    OutgoingMessage,
    StreamTarget,
)
from calls.providers.carriers.signals import MessageKind
from calls.providers.carriers.steps import Step
from calls.providers.carriers.telnyx.client import BASE_URL, NAME, Pace, TelnyxClient
from calls.providers.carriers.telnyx.context import (
    CODEC_PARAMETER,
    DEFAULT_CODEC,
    Carried,
    HandoverContext,
    Stage,
)
from calls.providers.carriers.telnyx.credentials import TelnyxCredentials
from calls.providers.carriers.telnyx.farewell import Farewell
from calls.providers.carriers.telnyx.health import (
    application_problems,
    not_an_application,
    rejected_key,
)
from calls.providers.carriers.telnyx.outgoing import body_of, path_of
from calls.providers.carriers.telnyx.recordings import Recordings
from calls.providers.carriers.telnyx.transfer import END_HOLD
from calls.providers.carriers.telnyx.voices import voice_for

log = logging.getLogger(__name__)

# What `answer` can ask for: it has no field for a sampling rate, which L16 would need.
VoiceCodec = Literal["PCMU", "PCMA", "G722"]

_KEYS = re.compile(r"[0-9A-D*#wW]+")
_RING_SECONDS = (5, 600)
_LIMIT_SECONDS = 14_400
_HOLD = "playback_start"
_LOOPS = 100  # as often as Telnyx plays a file that has an end; nobody waits as long


class TelnyxApi:
    """One account; implements `CarrierApi`.

    `codec` is asked for both ways; where Telnyx cannot convert it sends the call's own all the
    same. `webhook_url` is where the application ought to send its webhooks, for `check`.
    """

    def __init__(
        self,
        credentials: TelnyxCredentials,
        *,
        base_url: str = BASE_URL,
        codec: VoiceCodec = DEFAULT_CODEC,
        webhook_url: str = "",
        pace: Pace | None = None,
    ) -> None:
        self._credentials, self._codec, self._webhook_url = credentials, codec, webhook_url
        self._client = TelnyxClient(credentials.api_key, base_url, pace)
        # A simulated Telnyx, whose API is no public one either, keeps its files beside it.
        self._recordings = Recordings(self._client, anywhere=base_url.startswith("http://"))

    async def open(self) -> None:
        """Connect before the first call has to wait for it. Raises BadKey, NetworkFailure, ..."""
        await self._application()

    async def place(self, dial: Dial) -> str:
        """Call somebody; the call control id of the new leg."""
        least, most = _RING_SECONDS
        body = {
            "connection_id": self._credentials.connection_id,
            "to": dial.to_number,
            "from": dial.from_number,
            "timeout_secs": min(max(dial.ring_seconds, least), most),
            "time_limit_secs": min(dial.limit_seconds, _LIMIT_SECONDS),
            "webhook_url": dial.signals_url,
            "command_id": str(dial.command_id),
            **self._stream(dial.stream, dial.client_state, later=dial.verdict_first),
        }
        if dial.detect is not MachineDetection.OFF:
            body["answering_machine_detection"] = "premium"
        return await self._dial(body)

    async def answer(self, leg: str, stream: StreamTarget, command_id: uuid.UUID) -> None:
        """Pick up an incoming leg and bring its sound to us."""
        await self._command(leg, "answer", self._stream(stream), command_id)

    async def reattach(self, leg: str, stream: StreamTarget, command_id: uuid.UUID) -> None:
        """Bring a live leg's sound to us again after its stream was lost."""
        await self._end_hold(leg, uuid.uuid5(command_id, END_HOLD))
        parameters = {**stream.parameters, CODEC_PARAMETER: self._codec}
        body = {
            **self._stream_fields(stream.url),
            "custom_parameters": [
                {"name": name, "value": value} for name, value in parameters.items()
            ],
        }
        await self._command(leg, "streaming_start", body, command_id)

    async def refuse(self, leg: str, command_id: uuid.UUID, *, busy: bool) -> None:
        """Turn an incoming leg away without answering it."""
        cause = "USER_BUSY" if busy else "CALL_REJECTED"
        await self._command(leg, "reject", {"cause": cause}, command_id)

    async def say_and_hang_up(
        self, leg: str, text: str, language: str, command_id: uuid.UUID
    ) -> None:
        """Have Telnyx say a last word; `webhooks.follow_ups` then ends the leg.

        A leg that nobody has answered yet hears nothing: Telnyx refuses to speak, so it is
        answered first, and the words follow by themselves.
        """
        farewell = Farewell(str(command_id), text, voice_for(language))
        try:
            await self.take(farewell.speak(leg))
        except BadRequest:
            await self.take(farewell.answer(leg))

    async def hang_up(self, leg: str, command_id: uuid.UUID) -> None:
        """End a leg. One that is over already is no error."""
        try:
            await self._command(leg, "hangup", {}, command_id)
        except LegGone:
            return

    async def hand_over(self, handover: Handover) -> None:
        """Hand the caller to a person; `webhooks.follow_ups` takes it from there."""
        context = HandoverContext(
            caller_leg=handover.leg,
            root=str(handover.command_id),
            stage=Stage.CALLING if handover.briefing else Stage.BLIND,
            language=handover.language,
            briefing=handover.briefing,
        )
        least, most = _RING_SECONDS
        body = {
            "to": handover.to_number,
            "from": handover.caller_id,
            "timeout_secs": min(max(handover.ring_seconds, least), most),
            "webhook_url": handover.signals_url,
        }
        if handover.briefing:
            await self._call_person(handover, context, body)
        else:
            body["target_leg_client_state"] = context.pack()
            await self._command(handover.leg, "transfer", body, handover.command_id)

    async def _call_person(
        self, handover: Handover, context: HandoverContext, body: Mapping[str, Any]
    ) -> None:
        """Ring the person on a leg of the same session, while the caller stays where they are."""
        if handover.music is not None:
            await self._hold(handover, handover.music)
        await self._dial(
            {
                **body,
                "connection_id": self._credentials.connection_id,
                "link_to": handover.leg,
                "client_state": context.pack(),
                "command_id": str(handover.command_id),
            }
        )

    async def take(self, step: Step) -> None:
        """Do what a webhook called for (`webhooks.follow_ups`)."""
        if step.action == END_HOLD:
            await self._end_hold(step.leg, step.command_id)
            return
        try:
            await self._command(step.leg, step.action, step.arguments, step.command_id)
        except LegGone:
            if step.action != "bridge":
                raise
            # The caller gave up while the person listened: nobody is left to talk to.
            await self.hang_up(step.leg, uuid.uuid5(step.command_id, "alone"))

    async def _hold(self, handover: Handover, music: HoldMusic) -> None:
        """Play to the caller while a person is called; if that fails, they wait in silence."""
        body = {"audio_url": music.url, "audio_type": "wav", "loop": _LOOPS}
        command_id = uuid.uuid5(handover.command_id, _HOLD)
        try:
            await self._command(handover.leg, _HOLD, body, command_id)
        except LegGone:
            raise
        except ProviderError as error:
            log.warning("a caller waits without music: %s", error)

    async def _end_hold(self, leg: str, command_id: uuid.UUID) -> None:
        """Stop what the caller heard while they waited; where nothing plays, that is refused."""
        try:
            await self._command(leg, END_HOLD, {"stop": "all"}, command_id)
        except (BadRequest, LegGone):
            return

    async def send_dtmf(self, leg: str, keys: str, command_id: uuid.UUID) -> None:
        """Press keys towards the other side; `w` is half a second, `W` a whole one."""
        if not _KEYS.fullmatch(keys):
            raise BadRequest(NAME, f"{keys[:20]!r} are no keys: use 0-9, *, #, A-D, w or W")
        await self._command(leg, "send_dtmf", {"digits": keys}, command_id)

    async def send_message(self, message: OutgoingMessage) -> str:
        """Send a written message; Telnyx's id of it.

        A template is named `name/language`, or by Telnyx's id; its values go in as they come.
        Only WhatsApp's request takes a key by which Telnyx knows a repeated one (the SDK's
        `message_whatsapp_params`); an SMS is asked for once.
        """
        body = body_of(message, self._credentials.messaging_profile_id)
        known = message.kind is MessageKind.WHATSAPP
        key = {"Idempotency-Key": str(message.command_id)} if known else {}
        answer = await self._client.post(path_of(message), body, key, repeatable=known)
        return _text_in(answer, "id")

    def media(self, url: str) -> AbstractAsyncContextManager[Media]:
        """A file of a message, from the address that a signed webhook told."""
        return self._recordings.media(url)

    async def recording(self, recording_id: str, url: str) -> AsyncIterator[bytes]:
        """The bytes of a recording (WAV), fetched anew if its address has expired."""
        async with aclosing(self._recordings.read(recording_id, url)) as pieces:
            async for piece in pieces:
                yield piece

    async def check(self) -> Checked:
        """Ask who we are there. Raises only what is not the account's fault."""
        try:
            application = await self._application()
        except BadKey as refused:
            return Checked("", (rejected_key(refused),))
        except BadRequest as refused:
            return Checked("", (not_an_application(self._credentials, refused),))
        problems = application_problems(application, self._webhook_url)
        return Checked(str(application.get("application_name") or ""), problems)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._recordings.aclose()
        await self._client.aclose()

    async def _application(self) -> dict[str, Any]:
        path = f"call_control_applications/{self._credentials.connection_id}"
        return _data(await self._client.get(path))

    async def _dial(self, body: Mapping[str, Any]) -> str:
        return _text_in(await self._client.post("calls", body), "call_control_id")

    async def _command(
        self, leg: str, action: str, body: Mapping[str, Any], command_id: uuid.UUID
    ) -> None:
        path = f"calls/{quote(leg, safe='')}/actions/{action}"
        await self._client.post(path, {**body, "command_id": str(command_id)})

    def _stream(
        self, stream: StreamTarget, state: str = "", *, later: bool = False
    ) -> dict[str, Any]:
        """The fields that bring a leg's sound to us, from the moment it is answered, or `later`."""
        parameters = {**stream.parameters, CODEC_PARAMETER: self._codec}
        body = {} if later else self._stream_fields(stream.url)
        body["client_state"] = Carried(state, parameters).pack()
        if stream.record:
            body |= {"record": "record-from-answer", "record_channels": "dual"}
            body |= {"record_format": "wav"}
        return body

    def _stream_fields(self, url: str) -> dict[str, Any]:
        return {
            "stream_url": url,
            "stream_track": "inbound_track",
            "stream_codec": self._codec,
            "stream_bidirectional_mode": "rtp",
            "stream_bidirectional_codec": self._codec,
        }


def _data(answer: Mapping[str, Any]) -> dict[str, Any]:
    data = answer.get("data")
    if not isinstance(data, dict):
        raise ProviderError(NAME, "answered without data")
    return data


def _text_in(answer: Mapping[str, Any], name: str) -> str:
    value = _data(answer).get(name)
    if not isinstance(value, str) or not value:
        raise ProviderError(NAME, f"answered without {name}")
    return value
