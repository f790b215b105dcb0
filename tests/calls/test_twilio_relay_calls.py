"""Calls that Twilio hears and speaks, from the first webhook to the last row."""

from __future__ import annotations

import pytest

from agents.brain.events import HandOff, HangUp, TextDelta, Transfer
from calls import spoken
from calls.carriers import reception
from calls.carriers.links import RELAY_PATH, socket_url
from calls.carriers.tokens import stream_token
from calls.line import setup
from calls.line.relaying import relay_of
from calls.models import Call, CallEvent, Command, Leg, Recording, Utterance
from calls.providers.carriers import answers
from calls.providers.carriers.errors import NOT_ALLOWED
from calls.services.intake import Ring
from calls.simulator.twilio import Answer, new_sid
from tenants.db import run_in_tenant, run_unscoped
from tests.calls.carrier_line import CALLER
from tests.calls.conftest import staff_desk
from tests.calls.phone import on_a_script
from tests.calls.twilio_line import twilio_line
from tests.calls.waiting import until
from tests.peers.twilio import RudeRelay
from tests.peers.twilio_cloud import Person

pytestmark = pytest.mark.django_db(transaction=True)

SALES, CUSTOMER = "+525555123456", "+525598761111"
MESSAGE = "Le llamó Andrea."
PROFILE = {
    "relay": {"enabled": True, "voice_provider": "Google", "voice": "es-MX-Chirp3-HD-Kore"},
    "transcriber": {"languages": ["es-MX"], "keyterms": ["Xochimilco"]},
    "functions": {"transfer_targets": [{"name": "Ventas", "number": SALES}]},
    "advanced": {"voicemail": "leave_message", "voicemail_message": MESSAGE},
}


class Mind:
    """Says `text` to whatever it is told, and then does `action`, if that is any."""

    model_name = "scripted"
    observer = None

    def __init__(self):
        self.text, self.action = "Cien pesos.", None
        self.asked = []

    async def open(self):
        """Nothing to connect to."""

    async def aclose(self):
        """Nothing is open."""

    async def reply(self, items, committed):
        self.asked.append([getattr(item, "text", getattr(item, "digits", "")) for item in items])
        yield TextDelta(self.text)
        await committed.wait()
        if self.action is not None:
            yield self.action


@pytest.fixture
def mind(monkeypatch, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    on_a_script(monkeypatch)
    mind = Mind()
    monkeypatch.setattr(setup, "build_mind", lambda *_args, **_kwargs: mind)
    return mind


@pytest.fixture
def desk(tenant):
    return staff_desk(tenant, "+525512340001", greeting="Hola.", **PROFILE)


@pytest.fixture
async def line(desk, mind, quiet, settings, monkeypatch):
    async with twilio_line(desk, quiet, settings, monkeypatch) as twilio:
        yield twilio


async def dialled(line):
    """Somebody calls the desk, and hears it."""
    leg = await line.cloud.call(to=line.desk.number, caller=CALLER)
    return leg, await hears(leg)


async def hears(leg, number=1):
    """The leg's conversation in text of that number, once a word of the agent's was heard."""
    await until(lambda: len(leg.lines) >= number and leg.relay.heard)
    return leg.relay


async def asks(line, relay, words="¿Cuánto cuesta?"):
    """The caller speaks, once the agent has been heard."""
    await until(lambda: line.rows(Utterance, role="agent"))
    await relay.say(words)


# --- a conversation ----------------------------------------------------------------------------


async def test_caller_talks_with_the_agent_in_twilios_voice(line, mind):
    leg, relay = await dialled(line)
    assert relay.wishes["url"].endswith("/api/v1/ws/relay/twilio")
    assert {name: relay.wishes[name] for name in ("language", "ttsProvider", "voice", "hints")} == {
        "language": "es-MX", "ttsProvider": "Google", "voice": "es-MX-Chirp3-HD-Kore",
        "hints": "Xochimilco",
    }  # fmt: skip
    await asks(line, relay)
    await until(lambda: len(relay.heard) == 3)
    await until(lambda: line.rows(Utterance, text="Cien pesos."))
    await line.cloud.hang_up(leg)
    call = await line.call(state="ended")
    assert (call.end_reason, call.providers["voice"]) == ("caller_hung_up", "carrier")
    turns = [(turn.role, turn.heard_text) for turn in await line.rows(Utterance)]
    assert turns == [("agent", "Hola."), ("caller", "¿Cuánto cuesta?"), ("agent", "Cien pesos.")]
    assert mind.asked == [["Hola.", "¿Cuánto cuesta?"]]
    assert (relay.refused, await line.rows(Recording), await line.rows(Command)) == ([], [], [])
    names = {event.name for event in await line.rows(CallEvent)}
    assert {"call_started", "transcript_final", "agent_says", "call_ended"} <= names


async def test_interruption_keeps_what_was_heard(line, mind, monkeypatch):
    mind.text = "Tenemos tres recorridos por toda la ciudad y sus alrededores cada mañana."
    leg, relay = await dialled(line)
    await asks(line, relay)
    monkeypatch.setattr(RudeRelay, "letters_per_second", 40.0)
    await until(lambda: len(relay.heard) >= 3)
    assert await relay.break_in()
    mind.text = "Claro."
    await relay.say("Espere.")
    await until(lambda: "Claro." in relay.heard)
    (cut,) = await until(lambda: line.rows(Utterance, interrupted=True))
    assert cut.text.startswith("Tenemos tres recorridos")
    assert cut.heard_text == " ".join(relay.heard[1:-1])
    assert mind.asked[-1][-2:] == [cut.heard_text, "Espere."]
    await line.cloud.hang_up(leg)
    await line.call(state="ended")


async def test_keys_are_a_turn_and_the_agent_hangs_up_after_its_last_word(line, mind):
    mind.text, mind.action = "Adiós, que tenga buen día.", HangUp()
    leg, relay = await dialled(line)
    await until(lambda: line.rows(Utterance, role="agent"))
    for digit in "12#":
        await relay.dtmf(digit)
    await line.over(leg)
    assert (await line.call(state="ended")).end_reason == "agent_hung_up"
    assert mind.asked == [["Hola.", "12"]]
    assert relay.heard == ["Hola.", "Adiós,", "que", "tenga", "buen", "día."]
    assert relay.received[-1] == {"type": "end", "handoffData": '{"reason":"agent_hung_up"}'}
    assert leg.said == []


async def test_agent_who_goes_on_in_another_language_has_twilio_change_to_it(line, mind, desk):
    def colleague():
        staff_desk(desk.tenant, "+525512340009", slug="sales", language="en", greeting="Hi.")

    await run_unscoped(colleague)
    mind.action = HandOff("sales")
    leg, relay = await dialled(line)
    await run_in_tenant(desk.tenant.id, lambda: Call.objects.update(language="en"))
    await asks(line, relay)
    await until(lambda: "Hi." in relay.heard)
    assert {
        "type": "language", "ttsLanguage": "en-US", "transcriptionLanguage": "en-US",
    } in relay.received  # fmt: skip
    await line.cloud.hang_up(leg)
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"
    assert relay.refused == []


# --- to a person -------------------------------------------------------------------------------


@pytest.mark.parametrize("warm", [False, True])
async def test_caller_whom_nobody_takes_is_back_with_the_agent(line, mind, warm):
    line.cloud.people[SALES] = Person(keys="2") if warm else Person(status="busy")
    mind.action = Transfer("Ventas", warm=warm, briefing="Un reembolso." if warm else "")
    leg, relay = await dialled(line)
    await asks(line, relay, "Páseme con ventas.")
    await line.call(state="live", streams=2)
    assert '"reason":"transferred"' in relay.handoff
    again = await hears(leg, number=2)
    await until(lambda: "no contesta nadie" in " ".join(again.heard))
    mind.action = None
    await asks(line, again, "¿Y usted?")
    await until(lambda: len(mind.asked) == 2)
    assert mind.asked[1][:3] == ["Hola.", "Páseme con ventas.", "Cien pesos."]
    await line.cloud.hang_up(leg)
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"


async def test_caller_whom_somebody_takes_talks_with_them(line, mind):
    mind.action = Transfer("Ventas", warm=False, briefing="")
    leg, relay = await dialled(line)
    await asks(line, relay)
    call = await line.call(state="ended")
    assert (call.end_reason, call.transfer_to) == ("transferred", SALES)
    person = await until(lambda: leg.bridged_to)
    await line.cloud.hang_up(person)
    await line.over(leg)
    assert len(leg.lines) == 1


# --- what goes wrong ---------------------------------------------------------------------------


async def test_lost_socket_is_brought_back_until_that_was_too_often(line, mind):
    leg, relay = await dialled(line)
    await asks(line, relay)
    await until(lambda: line.rows(Utterance, text="Cien pesos."))
    await relay.cut()
    again = await hears(leg, number=2)
    await until(lambda: line.rows(Utterance, text__contains="se cortó"))
    await asks(line, again, "¿Y mañana?")
    await until(lambda: len(mind.asked) == 2)
    assert mind.asked[1][:3] == ["Hola.", "¿Cuánto cuesta?", "Cien pesos."]
    await again.cut()
    await (await hears(leg, number=3)).cut()
    await line.over(leg)
    assert (await line.call(state="ended")).end_reason == "media_lost"
    assert "interrumpió" in leg.said[-1]


@pytest.mark.parametrize("code", [1000, 1011])
async def test_session_that_twilio_cannot_hold_goes_on_in_our_own_speech(line, code):
    leg, relay = await dialled(line)
    await asks(line, relay)
    await until(lambda: line.rows(Utterance, text="Cien pesos."))
    await relay.fail("64109", code)
    await line.hears(leg)
    await until(lambda: line.rows(Utterance, text__contains="se cortó"))
    await line.cloud.hang_up(leg)
    call = await line.call(state="ended", streams=2)
    assert call.end_reason == "caller_hung_up"
    apology = answers.LastWord(spoken.CUT_OFF["es"], "es")
    for failed, said in ((True, apology), (False, answers.HangUp())):  # had it ended before
        over = await run_unscoped(reception.let_go, call.public_id, leg.sid, relay_failed=failed)
        assert over == said


async def test_relay_that_twilio_cannot_begin_gives_way_to_our_own_speech(line, caplog):
    line.cloud.relay_error = "64106"
    leg = await line.dialled()
    assert (leg.relay, len(leg.lines)) == (None, 1)
    assert "64106" in caplog.text
    await line.cloud.hang_up(leg)
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"


async def test_call_whose_sound_cannot_come_either_ends_with_an_apology(line, monkeypatch):
    line.cloud.relay_error = "64101"

    async def refused(*_args, **_named):
        raise OSError("nobody there")

    monkeypatch.setattr(line.cloud.stream_class, "open", refused)
    leg = await line.cloud.call(to=line.desk.number, caller=CALLER)
    await line.over(leg)
    assert (await line.call(state="ended")).end_reason == "failed"
    assert "interrumpió" in leg.said[-1]


async def test_messages_that_make_no_sense_are_overlooked(line, mind):
    leg, relay = await dialled(line)
    await until(lambda: line.rows(Utterance, role="agent"))
    for rudeness in (
        relay.malformed_json, relay.no_object, relay.binary, relay.unknown_type,
        relay.prompt_without_words, relay.odd_key, relay.second_setup,
    ):  # fmt: skip
        await rudeness()
    await relay.interrupt("nothing of that was said", 1)
    await relay.say("¿Cuánto cuesta?")
    await until(lambda: line.rows(Utterance, text="Cien pesos."))
    await line.cloud.hang_up(leg)
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"
    (figures,) = await line.rows(CallEvent, name="media_figures")
    assert figures.data["malformed"] == 5


async def test_oversized_message_ends_the_socket_and_not_the_call(line):
    leg, relay = await dialled(line)
    await relay.oversized()
    again = await hears(leg, number=2)
    assert (await line.rows(CallEvent, name="media_fault"))[0].data["fault"] == "oversized"
    await line.cloud.hang_up(leg)
    assert again is not relay
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"


# --- who may ------------------------------------------------------------------------------------


async def rings(line, number):
    """A call that waits for its stream: its public id and Twilio's."""
    ring = Ring("twilio", new_sid("CA"), CALLER, number)
    welcome = await run_unscoped(reception.receive, ring, accepting=True)
    return welcome.public_id, ring.carrier_id


async def closed_with(line, token, call_sid):
    """How a text socket with that token ends."""
    answer = Answer(200, "", 0.0, socket_url(RELAY_PATH.format(carrier="twilio")), {"token": token})
    relay = await RudeRelay.open(line.cloud.account, answer, call_sid=call_sid)
    await relay.start()
    await until(relay.ended.is_set)
    code = relay.socket.close_code
    await relay.close()
    return code


async def test_token_opens_the_text_of_its_own_call_once_and_no_other(
    line, desk, tenant, other_tenant
):
    plain = await run_unscoped(lambda: staff_desk(desk.tenant, "+525512340002", slug="plain"))
    foreign = await run_unscoped(lambda: staff_desk(other_tenant, "+525512340003", **PROFILE))
    ours, sid = await rings(line, desk.number)
    theirs, their_sid = await rings(line, foreign.number)
    spoken, spoken_sid = await rings(line, plain.number)
    for token, call_sid in (
        ("forged", sid),
        (stream_token(theirs), sid),
        (stream_token(ours), their_sid),
        (stream_token(spoken), spoken_sid),  # its agent does not want Twilio to speak
        (stream_token(ours, 1), sid),
    ):
        assert await closed_with(line, token, call_sid) == NOT_ALLOWED
    assert {call.state for call in await line.rows(Call)} == {"ringing"}


async def test_option_is_nothing_to_calls_by_other_carriers(line, desk):
    def answers():
        version = desk.version
        calls = [
            Call(agent=desk.agent, version=version, channel=channel, language="es")
            for channel in ("twilio", "telnyx", "threecx")
        ]
        return [relay_of(call) is not None for call in calls]

    assert await run_in_tenant(desk.tenant.id, answers) == [True, False, False]


# --- calls that we place -----------------------------------------------------------------------


async def test_person_whom_we_call_talks_with_the_agent_in_twilios_voice(line, mind):
    mind.action = HangUp()
    await line.place(CUSTOMER)
    await until(lambda: line.rows(Leg, picked_up="human"))
    (leg,) = line.cloud.legs.values()
    await asks(line, await hears(leg), "No, gracias.")
    await line.over(leg)
    assert (await line.call(state="ended")).end_reason == "agent_hung_up"


async def test_machine_is_left_the_message_after_its_beep(line):
    line.cloud.people[CUSTOMER] = line.machine
    await line.place(CUSTOMER)
    assert (await line.call(state="ended")).end_reason == "voicemail_left"
    (leg,) = line.cloud.legs.values()
    assert leg.relay.heard[-3:] == MESSAGE.split()


async def test_agent_who_waits_for_the_verdict_talks_in_twilios_voice_too(line, desk):
    careful = {**PROFILE, "advanced": {**PROFILE["advanced"], "verdict_first": True}}

    def careful_desk():
        return staff_desk(desk.tenant, "+525512340008", slug="careful", **careful)

    line.desk = await run_unscoped(careful_desk)
    await line.place(CUSTOMER)
    (leg,) = await until(lambda: list(line.cloud.legs.values()))
    assert (await hears(leg)).heard
    await line.cloud.hang_up(leg)
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"
