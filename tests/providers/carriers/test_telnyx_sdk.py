"""Telnyx's own SDK proves the stand-in, and knows every field that we send.

The SDK is generated from Telnyx's description of its API, so what its models take is what Telnyx
sends, and what its parameters name is what Telnyx takes. Importing it takes a second, and only
the worker that runs this file does.
"""

from __future__ import annotations

import importlib
import uuid
from typing import Any

import pytest

from calls.providers.carriers.port import Handover, MachineDetection, OutgoingMessage
from calls.providers.carriers.signals import (
    Ended,
    HandoverEnded,
    MessageKind,
    MessageMoved,
    StreamStarted,
)
from tests.peers.telnyx import Fault, Leg, Person, RudeCloud
from tests.providers.carriers.office import dial, on_the_phone
from tests.providers.carriers.telnyx_office import an_office
from tests.providers.carriers.test_telnyx_calls import hand_over

_PARAMETERS = {
    "/calls": "call_dial_params.CallDialParams",
    "/messages": "message_send_params.MessageSendParams",
    "/messages/whatsapp": "message_whatsapp_params.MessageWhatsappParams",
    "/answer": "calls.action_answer_params.ActionAnswerParams",
    "/reject": "calls.action_reject_params.ActionRejectParams",
    "/hangup": "calls.action_hangup_params.ActionHangupParams",
    "/speak": "calls.action_speak_params.ActionSpeakParams",
    "/gather_using_speak": "calls.action_gather_using_speak_params.ActionGatherUsingSpeakParams",
    "/bridge": "calls.action_bridge_params.ActionBridgeParams",
    "/transfer": "calls.action_transfer_params.ActionTransferParams",
    "/send_dtmf": "calls.action_send_dtmf_params.ActionSendDtmfParams",
    "/playback_start": "calls.action_start_playback_params.ActionStartPlaybackParams",
    "/playback_stop": "calls.action_stop_playback_params.ActionStopPlaybackParams",
    "/streaming_start": "calls.action_start_streaming_params.ActionStartStreamingParams",
}
# In Python's parameters a name that is taken, or means another field elsewhere, has an alias.
_ALIASES = {"from_": "from", "call_control_id_to_bridge_with": "call_control_id"}


@pytest.fixture(scope="module", autouse=True)
def telnyx() -> Any:
    """The SDK."""
    return pytest.importorskip("telnyx")


def in_sdk(name: str) -> Any:
    module, _, thing = name.rpartition(".")
    return getattr(importlib.import_module(f"telnyx.types.{module}"), thing)


def client_of(cloud: RudeCloud, key: str = "") -> Any:
    sdk = importlib.import_module("telnyx")
    return sdk.AsyncTelnyx(api_key=key or cloud.key, base_url=cloud.url, max_retries=0)


async def test_sdk_takes_the_stand_in_for_telnyx():
    async with RudeCloud("http://127.0.0.1:1").running() as cloud, client_of(cloud) as client:
        dialled = await client.calls.dial(
            connection_id=cloud.connection_id, from_="+1", to="+2", command_id="one"
        )
        leg = cloud.legs[dialled.data.call_control_id]
        assert (dialled.data.call_leg_id, dialled.data.is_alive) == (leg.leg_id, False)
        leg.state = "answered"
        done = await client.calls.actions.send_dtmf(leg.id, digits="1")
        assert done.data.result == "ok"
        assert (await client.calls.retrieve_status(leg.id)).data.is_alive
        await cloud.record(leg, b"RIFF")
        found = await client.recordings.list(filter={"call_session_id": leg.session})
        assert found.data[0].download_urls.wav.startswith(cloud.url.removesuffix("/v2"))
        application = await client.call_control_applications.retrieve(cloud.connection_id)
        assert application.data.webhook_event_url == cloud.webhook_url
        assert (await client.messages.send(to="+2", from_="+1", text="Hola")).data.id


async def test_sdk_understands_the_stand_ins_refusals(telnyx):
    async with RudeCloud("http://127.0.0.1:1").running() as cloud:
        ended = Leg("incoming", "+1", "+2", state="ended")
        cloud.legs[ended.id] = ended
        async with client_of(cloud) as client, client_of(cloud, "wrong") as stranger:
            with pytest.raises(telnyx.UnprocessableEntityError) as caught:
                await client.calls.actions.hangup(ended.id)
            assert caught.value.body["errors"][0]["code"] == "90018"
            with pytest.raises(telnyx.AuthenticationError):
                await stranger.calls.actions.hangup(ended.id)
            cloud.faults.extend([Fault(status=429), Fault(status=503), Fault(cut=True)])
            for error in (
                telnyx.RateLimitError, telnyx.InternalServerError, telnyx.APIConnectionError,
            ):  # fmt: skip
                with pytest.raises(error):
                    await client.calls.actions.hangup(ended.id)


def check_webhook(data: dict[str, Any]) -> None:
    """Raises unless the SDK's model takes an event, and knows each of its fields."""
    if data["event_type"].startswith("message."):
        inbound = "messaging_inbound_message_payload.MessagingInboundMessagePayload"
        outbound = "outbound_message_payload.OutboundMessagePayload"
        model = in_sdk(inbound if data["event_type"] == "message.received" else outbound)
        assert model.model_validate(data["payload"]).model_extra == {}, data["event_type"]
        return
    words = ["call", *data["event_type"].removeprefix("call.").split(".")]
    model = in_sdk(f"{'_'.join(words)}.{''.join(word.title() for word in words)}")
    event = model.model_validate(data)
    assert event.payload.model_extra == {}, data["event_type"]


def check_request(path: str, body: dict[str, Any]) -> None:
    """Raises unless the SDK knows each field of a request, and none is missing."""
    action = path.split("/actions")[-1] if "/actions/" in path else path.removeprefix("/v2")
    parameters = in_sdk(_PARAMETERS[action])
    known = {_ALIASES.get(name, name) for name in parameters.__annotations__}
    required = {_ALIASES.get(name, name) for name in parameters.__required_keys__}
    assert required <= set(body), path
    assert set(body) <= known, path


async def test_sdk_knows_all_that_is_said_in_either_direction():
    async with an_office() as (office, cloud):
        cloud.people["+49"] = Person(detected="machine")
        cloud.people["+50"] = Person(hangup_cause="user_busy")
        leg, _, _ = await on_the_phone(office, cloud)
        await office.told(StreamStarted, leg.id)
        await office.api.send_dtmf(leg.id, "1", uuid.uuid4())
        await office.api.reattach(leg.id, office.target("again"), uuid.uuid4())
        await cloud.record(leg, b"RIFF")
        busy = Handover(leg.id, "+50", "+1", f"{office.url}/s", uuid.uuid4(), "es")
        await office.api.hand_over(busy)
        await office.told(HandoverEnded)
        await hand_over(office, leg, "Pulse 1.")
        await office.until(lambda: leg.bridged_to)
        await office.api.place(dial(office, detect=MachineDetection.AFTER_GREETING))
        for kind in MessageKind:
            await office.api.send_message(
                OutgoingMessage(kind, "+2", "+1", "Hola", f"{office.url}/s")
            )
        await office.told(MessageMoved)
        await cloud.write(to="+1", writer="+52", text="Hola", kind="WHATSAPP")
        office.answers = False
        for refused in (True, False):
            waiting = await cloud.call(to="+1", caller="+52")
            if refused:
                await office.api.refuse(waiting.id, uuid.uuid4(), busy=True)
            else:
                await office.api.say_and_hang_up(waiting.id, "Adiós", "es", uuid.uuid4())
            await office.told(Ended, waiting.id)
        for envelope, _ in cloud.delivered:
            check_webhook(envelope["data"])
        for path, body in cloud.requests:
            check_request(path, body)
        said = {path.split("/")[-1] for path, _ in cloud.requests}
        assert said >= {name.split("/")[-1] for name in _PARAMETERS}
