"""Twilio's own SDK proves the stand-in, and knows every field that we send."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http import HttpClient
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from calls.providers.carriers.port import MachineDetection, OutgoingMessage, StreamTarget
from calls.providers.carriers.signals import MessageKind
from tests.peers.twilio_cloud import Fault, Leg, RudeCloud
from tests.providers.carriers.office import dial, on_the_phone
from tests.providers.carriers.test_twilio_calls import hand_over
from tests.providers.carriers.twilio_office import an_office

NOBODY = "http://127.0.0.1:1"
TWIML = "<Response><Pause/></Response>"


def client_of(cloud: RudeCloud, token: str = "") -> Client:
    client = Client(cloud.sid, token or cloud.account.auth_token)
    client.http_client = TwilioHttpClient(timeout=5)
    client.api.base_url = cloud.url
    return client


async def asked(call: Callable[[], Any]) -> Any:
    """The SDK waits with its whole thread."""
    return await asyncio.to_thread(call)


async def test_sdk_takes_the_stand_in_for_twilio():
    async with RudeCloud(NOBODY).running() as cloud:
        client = client_of(cloud)
        cloud.numbers = [{"sid": "PN1", "phone_number": "+1", "voice_url": "https://x"}]
        call = await asked(lambda: client.calls.create(to="+49", from_="+1", twiml=TWIML))
        assert (call.sid, call.to, call.direction) == (
            cloud.legs[call.sid].sid, "+49", "outbound-api",
        )  # fmt: skip
        live = cloud.add(Leg("inbound", "+52", "+1", status="in-progress"))
        await asked(lambda: client.calls(live.sid).update(twiml=TWIML))
        sid = await asked(lambda: client.calls(live.sid).recordings.create().sid)
        assert sid.startswith("RE")
        ended = await asked(lambda: client.calls(live.sid).update(status="completed"))
        assert ended.status == "completed"
        message = await asked(lambda: client.messages.create(to="+49", from_="+1", body="Hola"))
        assert message.sid.startswith("SM")
        numbers = await asked(lambda: client.incoming_phone_numbers.list(limit=5))
        assert [number.voice_url for number in numbers] == ["https://x"]
        account = await asked(lambda: client.api.accounts(cloud.sid).fetch())
        assert (account.friendly_name, account.status) == ("Simulated", "active")


async def test_sdk_understands_the_stand_ins_refusals():
    async with RudeCloud(NOBODY).running() as cloud:
        gone = cloud.add(Leg("inbound", "+52", "+1", status="completed"))
        client, stranger = client_of(cloud), client_of(cloud, "wrong")
        cloud.faults.extend([Fault(), Fault(), Fault(), Fault(status=429, code="20429")])
        for call, code in (
            (lambda: client.calls(gone.sid).update(twiml=TWIML), 21220),
            (lambda: client.calls("CA9").update(twiml=TWIML), 20404),
            (lambda: stranger.calls("CA9").update(twiml=TWIML), 20003),
            (lambda: client.calls("CA9").update(twiml=TWIML), 20429),
        ):
            with pytest.raises(TwilioRestException) as caught:
                await asked(call)
            assert caught.value.code == code


async def test_sdk_accepts_all_that_the_stand_in_signs():
    async with an_office() as (office, cloud):
        leg, _, _ = await on_the_phone(office, cloud)
        await hand_over(office, leg, "Pulse 1.")
        await office.until(lambda: leg.bridged_to)
        validator = RequestValidator(cloud.account.auth_token)
        assert validator.validate(
            "https://mycompany.com/x", {"A": "1"}, validator.compute_signature(
                "https://mycompany.com/x", {"A": "1"}),
        )  # fmt: skip
        # The office itself validates with the SDK, and answers 403 to what does not pass.
        assert {status for _, _, status in cloud.delivered} == {200}


# --- every field that we send -----------------------------------------------------------------


class Kept(HttpClient):  # type: ignore[misc]
    """Answers nothing, and keeps the fields of what the SDK asked for."""

    def __init__(self) -> None:
        super().__init__(None, False, None)
        self.fields: set[str] = set()

    def request(self, *_: Any, **asked: Any) -> Response:
        self.fields = set(asked["data"])
        return Response(201, '{"sid":"XX1"}')


def known_fields(create: Callable[..., Any], http: Kept) -> set[str]:
    """The names under which the SDK sends each of a method's arguments."""
    names = [name for name in create.__annotations__ if name != "return"]
    create(**dict.fromkeys(names, "x"))
    return http.fields


def sdk_fields() -> dict[str, set[str]]:
    http = Kept()
    client = Client("AC1", "token", http_client=http)
    return {
        "Calls": known_fields(client.calls.create, http),
        "Calls/CA": known_fields(client.calls("CA1").update, http),
        "Messages": known_fields(client.messages.create, http),
        "Recordings": known_fields(client.calls("CA1").recordings.create, http),
    }


def resource(path: str) -> str:
    parts = path.removesuffix(".json").split("/")[4:]
    return "Calls/CA" if len(parts) == 2 else parts[-1]


async def test_sdk_knows_every_field_that_we_send():
    async with an_office() as (office, cloud):
        leg, _, _ = await on_the_phone(office, cloud)
        stream = StreamTarget(office.target("x").url, {"a": "b"}, record=True)
        await office.api.place(dial(office, detect=MachineDetection.AFTER_GREETING, stream=stream))
        await office.api.record(leg.sid, office.hooks)
        await office.api.reattach(leg.sid, office.target("again"), uuid.uuid4())
        await hand_over(office, leg, "Pulse 1.")
        await office.until(lambda: leg.bridged_to)
        for changes in ({"media": ("https://x/1.png",)}, {"template": "HX1",
                        "template_values": {"1": "a"}}):  # fmt: skip
            message = OutgoingMessage(
                MessageKind.WHATSAPP, "+2", "+1", "Hola", office.hooks, **changes
            )
            await office.api.send_message(message)
        await office.api.hang_up(leg.sid, uuid.uuid4())
        known = sdk_fields()
        sent = [(resource(path), set(form)) for method, path, form in cloud.requests
                if method == "POST"]  # fmt: skip
        assert {name for name, _ in sent} == set(known)
        for name, fields in sent:
            assert fields <= known[name], name
