"""Commands to Telnyx, against a Telnyx that misbehaves."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from agents.brain.errors import (
    BadKey,
    BadRequest,
    NetworkFailure,
    ProviderDown,
    ProviderTimeout,
    QuotaExceeded,
)
from calls.providers.carriers.port import (
    Dial,
    Handover,
    LegGone,
    MachineDetection,
    OutgoingMessage,
    StreamTarget,
)
from calls.providers.carriers.signals import MessageKind
from calls.providers.carriers.telnyx.api import TelnyxApi
from calls.providers.carriers.telnyx.client import Pace
from calls.providers.carriers.telnyx.context import HandoverContext, Stage, unpack
from tests.peers.telnyx import Fault, Leg, RudeCloud
from tests.providers.carriers.telnyx_office import credentials_of

TARGET = StreamTarget("ws://127.0.0.1:1/media", {"token": "secret"}, record=True)
ID = uuid.UUID(int=5)


# A machine that stalls must not look like a Telnyx that is slow, except where that is the test.
PATIENT = Pace(patience=10, pause=0.01, limit=20)
HASTY = Pace(patience=0.15, pause=0.01, limit=10)


def api_of(cloud: RudeCloud, pace: Pace = PATIENT, **changes: str) -> TelnyxApi:
    return TelnyxApi(
        credentials_of(cloud, **changes),
        base_url=cloud.url,
        pace=pace,
        webhook_url=cloud.webhook_url,
    )


@pytest.fixture
async def cloud():
    """Telnyx, with nobody at the server's address: webhooks go nowhere."""
    async with RudeCloud("http://127.0.0.1:1").running() as running:
        yield running


@pytest.fixture
async def api(cloud):
    """Our side, with the right credentials."""
    ours = api_of(cloud)
    yield ours
    await ours.aclose()


@pytest.fixture
async def hasty(cloud):
    """The same, soon tired of waiting."""
    ours = api_of(cloud, HASTY)
    yield ours
    await ours.aclose()


def a_leg(cloud: RudeCloud, state: str = "answered") -> Leg:
    leg = Leg("incoming", "+1", "+2", state=state)
    cloud.legs[leg.id] = leg
    return leg


def asked(cloud: RudeCloud, action: str) -> list[dict[str, Any]]:
    return [body for path, body in cloud.requests if path.endswith(action)]


# --- what is sent ------------------------------------------------------------------------


async def test_call_is_answered_with_its_sound_both_ways_and_recorded(cloud, api):
    leg = a_leg(cloud, "parked")
    await api.answer(leg.id, TARGET, ID)
    (body,) = asked(cloud, "/actions/answer")
    state = body.pop("client_state")
    assert '"token":"secret"' in unpack(state)
    assert body == {
        "stream_url": TARGET.url, "stream_track": "inbound_track", "stream_codec": "PCMU",
        "stream_bidirectional_mode": "rtp", "stream_bidirectional_codec": "PCMU",
        "record": "record-from-answer", "record_channels": "dual", "record_format": "wav",
        "command_id": str(ID),
    }  # fmt: skip
    assert "%3A" in cloud.requests[0][0]  # v3:..., in a path


async def test_call_is_placed(cloud, api):
    dial = Dial("+52", "+1", TARGET, "http://127.0.0.1:1/signals", ID, ring_seconds=1,
                limit_seconds=10**6, detect=MachineDetection.AFTER_GREETING,
                client_state="campaign-7")  # fmt: skip
    leg = await api.place(dial)
    assert cloud.legs[leg].to_number == "+52"
    (body,) = asked(cloud, "/v2/calls")
    assert (body["timeout_secs"], body["time_limit_secs"]) == (5, 14_400)
    assert body["answering_machine_detection"] == "premium"
    assert body["connection_id"] == cloud.connection_id
    assert "campaign-7" in unpack(body["client_state"])


async def test_lost_stream_is_asked_for_again(cloud, api):
    await api.reattach(a_leg(cloud).id, TARGET, ID)
    (body,) = asked(cloud, "/actions/streaming_start")
    assert {"name": "token", "value": "secret"} in body["custom_parameters"]
    assert "client_state" not in body


@pytest.mark.parametrize(("busy", "cause"), [(True, "USER_BUSY"), (False, "CALL_REJECTED")])
async def test_call_is_refused(cloud, api, busy, cause):
    await api.refuse(a_leg(cloud, "parked").id, ID, busy=busy)
    assert asked(cloud, "/actions/reject") == [{"cause": cause, "command_id": str(ID)}]


async def test_last_word_is_spoken_and_an_unanswered_leg_answered_for_it(cloud, api):
    await api.say_and_hang_up(a_leg(cloud).id, "Adiós", "es", ID)
    assert asked(cloud, "/actions/answer") == []
    await api.say_and_hang_up(a_leg(cloud, "parked").id, "Adiós", "es", uuid.uuid4())
    assert len(asked(cloud, "/actions/answer")) == 1
    assert asked(cloud, "/actions/speak")[0]["voice"].startswith("Azure.es-")


def handover(leg: Leg, briefing: str = "") -> Handover:
    return Handover(leg.id, "+49", "+1", "http://127.0.0.1:1/s", ID, "es", briefing=briefing)


async def test_blind_handover_is_a_transfer(cloud, api):
    leg = a_leg(cloud)
    await api.hand_over(handover(leg))
    (body,) = asked(cloud, "/actions/transfer")
    context = HandoverContext.of(unpack(body["target_leg_client_state"]))
    assert context is not None
    assert (context.caller_leg, context.stage) == (leg.id, Stage.BLIND)
    assert (body["to"], body["from"], body["timeout_secs"]) == ("+49", "+1", 25)


async def test_warm_handover_rings_the_person_in_the_same_session(cloud, api):
    leg = a_leg(cloud)
    await api.hand_over(handover(leg, "Ana pregunta por su vuelo"))
    (body,) = asked(cloud, "/v2/calls")
    assert body["link_to"] == leg.id
    assert {known.session for known in cloud.legs.values()} == {leg.session}
    assert asked(cloud, "/actions/transfer") == []


async def test_keys_are_pressed_and_nonsense_is_not(cloud, api):
    leg = a_leg(cloud)
    await api.send_dtmf(leg.id, "1w2#", ID)
    assert asked(cloud, "/actions/send_dtmf")[0]["digits"] == "1w2#"
    with pytest.raises(BadRequest, match="no keys"):
        await api.send_dtmf(leg.id, "1; drop", ID)


def message(kind=MessageKind.SMS, text="Hola", **changes) -> OutgoingMessage:
    return OutgoingMessage(kind, "+52", "+1", text, "http://h/s", **changes)


async def test_written_messages_take_their_own_shapes(cloud, api):
    whatsapp = MessageKind.WHATSAPP
    assert await api.send_message(message())
    await api.send_message(message(media=("https://h/a.jpg",)))
    await api.send_message(message(whatsapp))
    await api.send_message(message(whatsapp, media=("https://h/a.jpg",)))
    await api.send_message(message(whatsapp, template="aviso/es_MX", template_values={"1": "Ana"}))
    await api.send_message(message(whatsapp, template="4f2c"))
    sms, mms, text, picture, template, by_id = [body for _, body in cloud.requests]
    assert (sms["type"], sms["text"]) == ("SMS", "Hola")
    assert (mms["type"], mms["media_urls"]) == ("MMS", ["https://h/a.jpg"])
    assert text["whatsapp_message"] == {"type": "text", "text": {"body": "Hola"}}
    assert picture["whatsapp_message"]["image"] == {"link": "https://h/a.jpg", "caption": "Hola"}
    assert template["whatsapp_message"]["template"] == {
        "name": "aviso", "language": {"code": "es_MX"},
        "components": [{"type": "body", "parameters": [{"type": "text", "text": "Ana"}]}],
    }  # fmt: skip
    assert by_id["whatsapp_message"]["template"] == {"template_id": "4f2c"}


# --- what is repeated --------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500), Fault(status=503, late=True), Fault(cut=True),
        Fault(cut=True, late=True), Fault(delay=0.4), Fault(delay=0.4, late=True),
    ],
)  # fmt: skip
async def test_command_without_an_answer_is_sent_again_and_done_once(cloud, hasty, fault):
    cloud.faults.append(fault)
    leg = await hasty.place(Dial("+52", "+1", TARGET, "http://127.0.0.1:1/s", ID))
    bodies = asked(cloud, "/v2/calls")
    assert len(bodies) >= 2
    assert all(body == bodies[0] for body in bodies)
    assert list(cloud.legs) == [leg]


async def test_slow_answer_counts_when_it_comes(cloud, hasty):
    cloud.faults.extend([Fault(delay=0.5)] * 3)
    await hasty.hang_up(a_leg(cloud).id, ID)
    assert len({body["command_id"] for body in asked(cloud, "/actions/hangup")}) == 1


async def test_connection_is_kept_and_made_anew_when_it_is_gone(cloud, api):
    await api.open()
    await api.send_dtmf(a_leg(cloud).id, "1", ID)
    assert len(set(cloud.clients)) == 1
    cloud.faults.append(Fault(cut=True))
    await api.open()
    assert len(set(cloud.clients)) == 2


# --- what goes wrong ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=401), BadKey),
        (Fault(status=403), BadKey),
        (Fault(status=400), BadRequest),
        (Fault(status=404), BadRequest),
        (Fault(status=422, code="10015"), BadRequest),
        (Fault(status=422, code="90018"), LegGone),
    ],
)
async def test_refusal_is_not_repeated_and_has_a_class(cloud, api, fault, error):
    cloud.faults.append(fault)
    with pytest.raises(error):
        await api.answer(a_leg(cloud, "parked").id, TARGET, ID)
    assert len(cloud.requests) == 1


async def test_too_many_requests_say_when_to_come_again(cloud, api):
    cloud.faults.append(Fault(status=429, headers={"retry-after": "7"}))
    with pytest.raises(QuotaExceeded) as caught:
        await api.answer("v3:x", TARGET, ID)
    assert caught.value.retry_after == 7.0


@pytest.mark.parametrize(
    ("fault", "error"), [(Fault(status=502), ProviderDown), (Fault(cut=True), NetworkFailure)]
)
async def test_three_times_in_vain_is_enough(cloud, api, fault, error):
    cloud.faults.extend([fault] * 9)
    with pytest.raises(error):
        await api.answer("v3:x", TARGET, ID)
    assert len(cloud.requests) == 3


async def test_silence_is_a_timeout(cloud):
    cloud.faults.extend([Fault(delay=60)] * 9)
    impatient = api_of(cloud, Pace(patience=0.05, pause=0.01, limit=0.5))
    with pytest.raises(ProviderTimeout, match="no answer"):
        await impatient.answer("v3:x", TARGET, ID)
    await impatient.aclose()


async def test_nobody_there_is_a_network_failure(cloud):
    unreachable = api_of(cloud)
    unreachable._client._http.base_url = "http://127.0.0.1:1/v2/"
    with pytest.raises(NetworkFailure):
        await unreachable.open()
    await unreachable.aclose()


async def test_leg_that_is_over_may_be_hung_up_but_not_used(cloud, api):
    leg = a_leg(cloud, "ended")
    await api.hang_up(leg.id, ID)
    with pytest.raises(LegGone, match="already ended"):
        await api.send_dtmf(leg.id, "1", uuid.uuid4())


async def test_key_is_in_no_error(cloud):
    wrong = api_of(cloud, api_key="KEY-very-secret")
    with pytest.raises(BadKey) as caught:
        await wrong.answer("v3:x", TARGET, ID)
    assert "very-secret" not in str(caught.value)
    await wrong.aclose()


# --- the check ---------------------------------------------------------------------------


async def test_check_names_the_application(api):
    assert (await api.check()).account == "Simulated"


async def test_check_tells_a_wrong_key_from_a_wrong_connection(cloud):
    key, connection = api_of(cloud, api_key="KEY-wrong"), api_of(cloud, connection_id="42")
    assert "does not take the API key" in (await key.check()).problems[0]
    assert "no Voice API application 42" in (await connection.check()).problems[0]
    await key.aclose()
    await connection.aclose()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"webhook_event_url": ""}, "has no webhook URL"),
        ({"webhook_event_url": "https://elsewhere/x"}, "go to https://elsewhere/x, not to"),
        ({"active": False}, "switched off"),
        ({"webhook_api_version": "1"}, "API v2"),
        ({"outbound": {}}, "no outbound voice profile"),
    ],
)
async def test_check_says_what_is_set_wrongly(cloud, api, change, said):
    cloud.application |= change
    (problem,) = (await api.check()).problems
    assert said in problem


async def test_check_does_not_blame_the_account_for_an_outage(cloud, api):
    cloud.faults.extend([Fault(status=500)] * 3)
    with pytest.raises(ProviderDown):
        await api.check()


# --- recordings --------------------------------------------------------------------------


async def recorded(api, recording_id: str, url: str) -> bytes:
    return b"".join([piece async for piece in api.recording(recording_id, url)])


async def test_recording_is_fetched_anew_once_its_address_expired(cloud, api):
    leg = a_leg(cloud)
    await cloud.record(leg, b"RIFF" + bytes(200_000))
    (number,) = cloud.recordings
    url = cloud.recordings[number]["download_urls"]["wav"]
    expired = url.replace(number, "expired")
    assert len(await recorded(api, f"leg:{leg.leg_id}", url)) == 200_004
    assert cloud.requests == []
    assert len(await recorded(api, f"leg:{leg.leg_id}", expired)) == 200_004
    assert len(await recorded(api, number, expired)) == 200_004
    assert len(await recorded(api, number, "")) == 200_004
    assert len(await recorded(api, f"leg:{leg.leg_id}", "")) == 200_004


async def test_recording_that_is_not_there_is_refused(cloud, api):
    with pytest.raises(BadRequest, match="no recording leg:none"):
        await recorded(api, "leg:none", f"{cloud.url.removesuffix('/v2')}/files/x")


async def test_sms_whose_answer_was_lost_is_not_asked_for_again(cloud, hasty):
    cloud.faults.append(Fault(cut=True, late=True))
    with pytest.raises(NetworkFailure):
        await hasty.send_message(message())
    assert len(cloud.requests) == 1


async def test_whatsapp_message_whose_answer_was_lost_is_sent_once_all_the_same(cloud, hasty):
    cloud.faults.append(Fault(cut=True, late=True))
    assert await hasty.send_message(message(MessageKind.WHATSAPP))
    assert len(cloud.requests) == 2
    assert len(cloud._answers) == 1
