"""Commands to a Twilio that refuses, fails, is slow, or is not there."""

from __future__ import annotations

import asyncio
import uuid
from xml.etree import ElementTree

import pytest

from agents.brain.errors import (
    BadKey,
    BadRequest,
    NetworkFailure,
    ProviderDown,
    ProviderError,
    ProviderTimeout,
    QuotaExceeded,
)
from calls.providers.carriers.port import (
    Capability,
    CarrierApi,
    Dial,
    Handover,
    LegGone,
    MachineDetection,
    OutgoingMessage,
    StreamTarget,
    Unsupported,
)
from calls.providers.carriers.signals import MessageKind
from calls.providers.carriers.steps import Step
from calls.providers.carriers.twilio.api import CAPABILITIES, TwilioApi
from calls.providers.carriers.twilio.client import NotFound, TwilioClient
from calls.providers.carriers.twilio.recordings import Recordings
from tests.peers.twilio_cloud import Fault, Leg, RudeCloud
from tests.providers.carriers.twilio_office import QUICK, credentials_of

NOBODY = "http://127.0.0.1:1"
HOOKS = "https://we.example/hooks"
STREAM = StreamTarget("wss://we.example/ws", {"token": "secret"})
COMMAND = uuid.UUID(int=7)


class Desk:
    """A Twilio whose callbacks nobody takes, and our interface to it."""

    def __init__(self, cloud: RudeCloud, api: TwilioApi) -> None:
        self.cloud, self.api = cloud, api

    def live_leg(self) -> Leg:
        return self.cloud.add(Leg("inbound", "+52", "+1", status="in-progress"))

    @property
    def forms(self) -> list[dict[str, list[str]]]:
        return [form for method, _, form in self.cloud.requests if method == "POST"]


@pytest.fixture
async def desk():
    async with RudeCloud(NOBODY).running() as cloud:
        api = TwilioApi(credentials_of(cloud), base_url=cloud.url, signals_url=HOOKS, pace=QUICK)
        yield Desk(cloud, api)
        await api.aclose()


def dial(**changes) -> Dial:
    return Dial("+49", "+1", STREAM, HOOKS, COMMAND, **changes)


def message(**changes) -> OutgoingMessage:
    fields = {"kind": MessageKind.SMS, "text": "Hola", **changes}
    return OutgoingMessage(to_number="+49", from_number="+1", signals_url=HOOKS, **fields)


def handover(leg: Leg, **changes) -> Handover:
    return Handover(leg.sid, "+49", "+1", HOOKS, COMMAND, "es", **changes)


def twiml_in(form: dict[str, list[str]]) -> ElementTree.Element:
    return ElementTree.fromstring(form["Twiml"][0])  # noqa: S314 - our own


async def test_it_is_a_carrier_that_can_do_everything(desk):
    api: CarrierApi = desk.api
    assert set(Capability) == CAPABILITIES
    assert api is desk.api


# --- what is asked for ---------------------------------------------------------------------


async def test_placing_asks_for_every_step_and_the_stream(desk):
    await desk.api.place(dial(ring_seconds=20, limit_seconds=99_999))
    (form,) = desk.forms
    assert form["StatusCallbackEvent"] == ["initiated", "ringing", "answered", "completed"]
    assert form["StatusCallback"] == [f"{HOOKS}/call-status"]
    assert (form["To"], form["From"], form["Timeout"], form["TimeLimit"]) == (
        ["+49"], ["+1"], ["20"], ["14400"],
    )  # fmt: skip
    connect = twiml_in(form)[0]
    assert connect.get("action") == f"{HOOKS}/after-stream?after=1"
    assert connect[0].get("statusCallback") == f"{HOOKS}/stream"
    assert connect[0][0].attrib == {"name": "token", "value": "secret"}
    assert not {"MachineDetection", "Record"} & set(form)


async def test_machines_are_looked_for_beside_the_call(desk):
    await desk.api.place(dial(detect=MachineDetection.AT_ONCE))
    await desk.api.place(dial(detect=MachineDetection.AFTER_GREETING))
    at_once, after_greeting = desk.forms
    assert at_once["MachineDetection"] == ["Enable"]
    assert "MachineDetectionTimeout" not in at_once
    assert after_greeting["MachineDetection"] == ["DetectMessageEnd"]
    assert after_greeting["MachineDetectionTimeout"] == ["59"]
    for form in (at_once, after_greeting):
        assert form["AsyncAmd"] == ["true"]
        assert form["AsyncAmdStatusCallback"] == [f"{HOOKS}/machine"]
        assert twiml_in(form)[0].tag == "Connect"


async def test_machines_are_looked_for_before_the_call_is_connected(desk):
    await desk.api.place(dial(detect=MachineDetection.AT_ONCE, verdict_first=True))
    await desk.api.place(dial(verdict_first=True))  # which nothing is to be found out about
    (form, other) = desk.forms
    assert (form["MachineDetection"], form["Url"]) == (["Enable"], [f"{HOOKS}/answered"])
    assert not {"Twiml", "AsyncAmd", "AsyncAmdStatusCallback"} & set(form)
    assert "Twiml" in other
    assert not {"Url", "MachineDetection"} & set(other)


async def test_recording_has_both_sides_apart(desk):
    stream = StreamTarget("wss://we.example/ws", {}, record=True)
    await desk.api.place(Dial("+49", "+1", stream, HOOKS, COMMAND))
    (form,) = desk.forms
    assert (form["Record"], form["RecordingChannels"]) == (["true"], ["dual"])
    assert form["RecordingStatusCallbackEvent"] == ["completed", "absent"]


@pytest.mark.parametrize(("seconds", "asked"), [(0, "5"), (-3, "5"), (30, "30"), (9999, "600")])
async def test_ringing_stays_within_what_twilio_takes(desk, seconds, asked):
    await desk.api.place(dial(ring_seconds=seconds))
    assert desk.forms[0]["Timeout"] == [asked]


async def test_parameters_that_twilio_would_drop_never_leave(desk):
    with pytest.raises(ValueError, match="500 is all"):
        await desk.api.place(
            Dial("+49", "+1", StreamTarget("wss://x", {"t": "x" * 500}), HOOKS, COMMAND)
        )
    assert desk.forms == []


async def test_person_is_called_with_the_briefing(desk):
    leg = desk.live_leg()
    await desk.api.hand_over(handover(leg, briefing="Ana & <Eva>", ring_seconds=15))
    (form,) = desk.forms
    gather = twiml_in(form)[0]
    assert (gather.get("numDigits"), gather.get("actionOnEmptyResult")) == ("1", "true")
    assert f"caller={leg.sid}" in gather.get("action", "")
    assert (gather[0].text, gather[0].get("language")) == ("Ana & <Eva>", "es-MX")
    assert form["Timeout"] == ["15"]
    assert form["StatusCallback"][0].startswith(f"{HOOKS}/person-status?caller={leg.sid}&")
    assert leg.script is None


@pytest.mark.parametrize("word", ["a ", "á", "&", '"<'])
async def test_long_briefing_is_cut_to_what_twilio_takes(desk, word):
    await desk.api.hand_over(handover(desk.live_leg(), briefing=word * 5000))
    assert 3000 < len(desk.forms[0]["Twiml"][0]) <= 4000


@pytest.mark.parametrize("spoilt", ["\x00", "\x0b", "\ud800", "\ufffe"])
async def test_characters_that_spoil_a_document_are_left_out(desk, spoilt):
    await desk.api.say_and_hang_up(desk.live_leg().sid, f"Lo{spoilt}siento", "es", COMMAND)
    assert twiml_in(desk.forms[0])[0].text == "Lo siento"


async def test_whatsapp_template_goes_out_by_its_sid_with_values(desk):
    await desk.api.send_message(
        message(
            kind=MessageKind.WHATSAPP, template="HX1", template_values={"1": "Ana"}, text="unused"
        )
    )
    (form,) = desk.forms
    assert (form["To"], form["From"]) == (["whatsapp:+49"], ["whatsapp:+1"])
    assert (form["ContentSid"], form["ContentVariables"]) == (["HX1"], ['{"1":"Ana"}'])
    assert "Body" not in form


async def test_pictures_are_sent_by_their_addresses(desk):
    await desk.api.send_message(message(media=("https://x/1.png", "https://x/2.png")))
    assert desk.forms[0]["MediaUrl"] == ["https://x/1.png", "https://x/2.png"]


async def test_what_twilio_cannot_do_by_command_says_so(desk):
    for asked in (
        desk.api.answer("CA1", STREAM, COMMAND),
        desk.api.refuse("CA1", COMMAND, busy=True),
        desk.api.send_dtmf("CA1", "1", COMMAND),
    ):
        with pytest.raises(Unsupported):
            await asked


async def test_step_that_nobody_knows_is_refused(desk):
    about = {"caller": "CA1", "handover": "h", "back": HOOKS}
    with pytest.raises(Unsupported, match="no step"):
        await desk.api.take(Step("CA2", "dance", about, COMMAND))


@pytest.mark.parametrize("person_is_there", [True, False])
async def test_person_who_left_meanwhile_does_not_leave_the_caller_alone(desk, person_is_there):
    caller, person = desk.live_leg(), desk.live_leg()
    if not person_is_there:
        await desk.cloud.end(person, "completed")
    about = {"caller": caller.sid, "handover": "h", "back": HOOKS}
    await desk.api.take(Step(person.sid, "join", about, COMMAND))
    documents = [twiml_in(form)[0].tag for form in desk.forms if "Twiml" in form]
    assert documents == (["Dial"] if person_is_there else ["Dial", "Redirect"])


# --- legs that are over ----------------------------------------------------------------------


@pytest.mark.parametrize("ended", [True, False])
async def test_leg_that_is_gone_says_so_to_all_but_hanging_up(desk, ended):
    leg = Leg("inbound", "+52", "+1", status="completed")
    if ended:  # 21220 instead of 20404
        desk.cloud.add(leg)
    await desk.api.hang_up(leg.sid, COMMAND)
    for asked in (
        desk.api.reattach(leg.sid, STREAM, COMMAND),
        desk.api.say_and_hang_up(leg.sid, "Adiós", "es", COMMAND),
        desk.api.hand_over(handover(leg)),
    ):
        with pytest.raises(LegGone):
            await asked


async def test_leg_of_an_odd_name_reaches_no_other_address(desk):
    with pytest.raises(LegGone):
        await desk.api.reattach("../../Messages", STREAM, COMMAND)
    assert desk.cloud.requests[-1][1].endswith("/Calls/..%2F..%2FMessages.json")


# --- refusals and failures -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=400, code="21211"), BadRequest),
        (Fault(status=401, code="20003"), BadKey),
        (Fault(status=403, code="20003"), BadKey),
        (Fault(status=500), ProviderDown),
        (Fault(status=503), ProviderDown),
        (Fault(cut=True), NetworkFailure),
        (Fault(cut=True, late=True), NetworkFailure),
        (Fault(delay=0.7), ProviderTimeout),
    ],
)
async def test_creating_is_not_repeated_where_it_may_have_been_done(desk, fault, error):
    desk.cloud.faults.append(fault)
    with pytest.raises(error) as caught:
        await desk.api.place(dial())
    assert type(caught.value) in {error, NotFound}
    assert len(desk.cloud.requests) == 1


async def test_creating_is_repeated_when_we_came_too_fast(desk):
    desk.cloud.faults.extend([Fault(status=429, code="20429", headers={"Retry-After": "0"})] * 2)
    assert (await desk.api.place(dial())).startswith("CA")
    assert len(desk.cloud.legs) == 1


async def test_too_fast_for_long_is_told(desk):
    desk.cloud.faults.extend([Fault(status=429, code="20429")] * 3)
    with pytest.raises(QuotaExceeded, match="20429"):
        await desk.api.place(dial())


async def test_longer_waits_than_a_request_may_take_are_not_waited(desk):
    desk.cloud.faults.append(Fault(status=429, headers={"Retry-After": "3600"}))
    with pytest.raises(QuotaExceeded) as caught:
        await desk.api.place(dial())
    assert caught.value.retry_after == 3600


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(cut=True), Fault(delay=0.7)])
async def test_hanging_up_is_insisted_on(desk, fault):
    leg = desk.live_leg()
    desk.cloud.faults.append(fault)
    await desk.api.hang_up(leg.sid, COMMAND)
    assert not leg.is_alive


async def test_nobody_there_is_tried_again_and_told():
    async with RudeCloud(NOBODY).running() as cloud:
        credentials = credentials_of(cloud)
    api = TwilioApi(credentials, base_url=NOBODY, pace=QUICK)
    with pytest.raises(NetworkFailure):
        await api.place(dial())
    await api.aclose()


async def test_connection_is_kept_between_commands(desk):
    for _ in range(3):
        await desk.api.send_message(message())
    assert len(set(desk.cloud.clients)) == 1


@pytest.mark.parametrize("content", [b"", b"[]", b"<html>", b"{}", b'{"sid":7}'])
async def test_answer_that_makes_no_sense_is_an_error(desk, content):
    desk.cloud.faults.append(Fault(content=content))
    with pytest.raises(ProviderError):
        await desk.api.place(dial())


# --- recordings ------------------------------------------------------------------------------


async def test_recording_that_is_not_there_yet_is_waited_for(desk):
    client = TwilioClient(credentials_of(desk.cloud), desk.cloud.url, QUICK)
    recordings = Recordings(client, waits=(0.01, 0.05, 0.05))
    asyncio.get_running_loop().call_later(0.03, desk.cloud.files.update, {"RE1": b"RIFF"})
    assert b"".join([piece async for piece in recordings.read("RE1")]) == b"RIFF"
    assert desk.cloud.requests[-1][1].endswith("/Recordings/RE1.wav?RequestedChannels=2")
    with pytest.raises(NotFound):
        _ = [piece async for piece in recordings.read("RE2")]
    await client.aclose()


@pytest.mark.parametrize("url", ["http://[", "http://127.0.0.1:1/RE1", "https://x.example/RE1"])
async def test_recording_is_fetched_at_twilio_wherever_a_callback_says_it_lies(desk, url):
    desk.cloud.files["RE1"] = b"RIFF"
    assert [piece async for piece in desk.api.recording("RE1", url)] == [b"RIFF"]


async def test_a_store_that_twilio_sends_us_to_does_not_learn_it_either(desk):
    async with RudeCloud(NOBODY).running() as store:
        url = f"{store.url}/2010-04-01/Accounts/{store.sid}/Recordings/RE1.wav"
        store.files["RE1"] = b"RIFF"
        desk.cloud.faults.append(Fault(status=307, headers={"Location": url}))
        with pytest.raises(BadKey):
            _ = [piece async for piece in desk.api.recording("RE1", "")]


@pytest.mark.parametrize(
    ("fault", "error"), [(Fault(status=503), ProviderDown), (Fault(cut=True), NetworkFailure)]
)
async def test_recording_that_fails_is_told(desk, fault, error):
    desk.cloud.faults.append(fault)
    with pytest.raises(error):
        _ = [piece async for piece in desk.api.recording("RE1", "")]


# --- the account -----------------------------------------------------------------------------

GOOD = {
    "phone_number": "+1",
    "voice_url": f"{HOOKS}/incoming-call",
    "voice_method": "POST",
    "status_callback": f"{HOOKS}/call-status",
    "capabilities": {"voice": True, "sms": True},
    "sms_url": f"{HOOKS}/message",
}


async def test_account_in_order_has_no_problems(desk):
    desk.cloud.numbers = [GOOD]
    found = await desk.api.check()
    assert (found.account, found.problems) == ("Simulated", ())


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"voice_url": ""}, "has no voice webhook: set it to https://we.example/hooks/incoming"),
        ({"voice_url": "https://demo.twilio.com/x"}, "go to https://demo.twilio.com/x, not to"),
        ({"voice_method": "GET"}, "choose HTTP POST"),
        ({"status_callback": ""}, "does not tell us when a call is over"),
        ({"sms_url": "https://other/"}, "the messages of .1 go to https://other/"),
        ({"trunk_sid": "TK1"}, "belongs to a SIP trunk"),
        ({"voice_application_sid": "AP1"}, "answered by a TwiML app"),
    ],
)
async def test_number_that_is_set_up_wrongly_is_named(desk, changes, problem):
    desk.cloud.numbers = [{**GOOD, **changes}]
    with pytest.raises(AssertionError, match=problem):
        assert (await desk.api.check()).problems == ()


@pytest.mark.parametrize(("token", "problems"), [({}, 0), ({"auth_token": "w" * 32}, 1)])
async def test_token_that_signs_webhooks_is_tried_beside_an_api_key(desk, token, problems):
    desk.cloud.numbers = [GOOD]
    key = {"api_key_sid": "SK" + "1" * 32, "api_key_secret": "s" * 32}
    desk.cloud.api_keys = {key["api_key_sid"]: key["api_key_secret"]}
    credentials = credentials_of(desk.cloud, **key, **token)
    api = TwilioApi(credentials, base_url=desk.cloud.url, signals_url=HOOKS, pace=QUICK)
    found = await api.check()
    await api.aclose()
    assert found.account == "Simulated"
    assert ["the auth token is not that of" in each for each in found.problems] == [True] * problems


async def test_account_without_numbers_or_suspended_says_so(desk):
    desk.cloud.details["status"] = "suspended"
    found = await desk.api.check()
    assert found.problems == (
        "the account is suspended", "the account has no telephone number",
    )  # fmt: skip


@pytest.mark.parametrize("numbers", [[None], ["x"], [{}], None])
async def test_odd_lists_of_numbers_are_survived(desk, numbers):
    desk.cloud.numbers = numbers
    assert (await desk.api.check()).problems


@pytest.mark.parametrize(
    ("change", "words"),
    [({"auth_token": "w" * 32}, "does not take"), ({"account_sid": "AC" + "9" * 32}, "AC999")],
)
async def test_wrong_credentials_are_told_in_words(desk, change, words):
    api = TwilioApi(credentials_of(desk.cloud, **change), base_url=desk.cloud.url, pace=QUICK)
    found = await api.check()
    assert words in found.problems[0]
    assert "w" * 32 not in found.problems[0]
    await api.aclose()


async def test_account_that_is_unknown_is_told(desk):
    desk.cloud.faults.append(Fault(status=404, code="20404"))
    assert "knows no account" in (await desk.api.check()).problems[0]


async def test_a_check_raises_what_is_not_the_accounts_fault(desk):
    desk.cloud.faults.extend([Fault(status=503)] * 3)
    with pytest.raises(ProviderDown):
        await desk.api.check()


async def test_connection_is_made_beforehand(desk):
    await desk.api.open()
    await desk.api.place(dial())
    assert len(set(desk.cloud.clients)) == 1
