"""Telephone calls from the webhook to the last stored row, over the real application."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from xml.etree import ElementTree

import pytest

from agents.brain.events import HandOff, TextDelta
from calls.line import ringing, setup
from calls.models import Call, CallEvent, Recording, Utterance
from calls.providers.tts.cache import CachedSynthesiser, PhraseCache
from config.asgi import application
from tenants.db import run_in_tenant, run_unscoped
from tests.calls.conftest import ring_form, staff_desk
from tests.calls.phone import Phone, Reader, on_a_script
from tests.calls.scripted import TRANSCRIBER
from tests.calls.scripted import desk as desk
from tests.calls.scripted import scripted as scripted
from tests.calls.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

SID = "CA" + "1" * 32


@pytest.fixture
def token_of(ring):
    async def announce(desk, call_sid=SID):
        response = await ring(desk.number, call_sid)
        root = ElementTree.fromstring(response.content)  # noqa: S314 - our own answer
        return root.find("Connect/Stream/Parameter").get("value")

    return announce


@pytest.fixture
def dial(token_of, quiet):
    async def connect(desk, call_sid=SID):
        phone = Phone(application)
        phone.start(call_sid, await token_of(desk, call_sid))
        return phone

    return connect


async def only(text):
    yield text


async def rows(desk, model, **filters):
    return await run_in_tenant(desk.tenant.id, lambda: list(model.objects.filter(**filters)))


async def the_call(desk, call_sid=SID):
    (call,) = await rows(desk, Call, carrier_id=call_sid)
    return call


async def test_call_is_answered_and_stored(desk, dial, quiet):
    phone = await dial(desk)
    await phone.hears()
    phone.talk(400)
    phone.talk(400, aloud=False)
    await asyncio.sleep(1.0)
    phone.stop()
    assert (await phone.over())["code"] == 1000
    await quiet.writer.drained(5)
    call = await the_call(desk)
    assert (call.state, call.end_reason) == ("ended", "caller_hung_up")
    turns = await rows(desk, Utterance)
    assert [turn.role for turn in turns][:2] == ["agent", "caller"]
    assert turns[0].heard_text == "Hola."
    assert turns[1].text == "¿Cuánto cuesta el tour?"


async def test_greeting_that_another_process_prepared_is_not_synthesised_again(
    desk, token_of, quiet, monkeypatch, tmp_path
):
    said = []
    process = PhraseCache(folder=tmp_path)  # of the process that works at the moment

    class Told(Reader):
        async def speak(self, segments):
            async for text in segments:
                said.append(text)
                async for speech in super().speak(only(text)):
                    yield speech

    def voice(rate):
        return CachedSynthesiser(Told(rate), process, "s", lambda: Told(rate))

    on_a_script(monkeypatch, voice=voice)
    monkeypatch.setattr(ringing, "warm_up", lambda: None)
    token = await token_of(desk)
    call = await the_call(desk)
    await ringing.prepare_greeting(desk.tenant.id, call.public_id)
    assert "Hola." in said
    said.clear()
    process = PhraseCache(folder=tmp_path)
    phone = Phone(application)
    phone.start(SID, token)
    await phone.hears()
    assert said == []
    phone.stop()
    await phone.over()


async def test_rows_appear_while_the_call_runs(desk, dial):
    phone = await dial(desk)
    await phone.hears()
    phone.talk(400)
    phone.talk(400, aloud=False)
    await until(lambda: rows(desk, Utterance, role="caller"))
    assert [turn.role for turn in await rows(desk, Utterance)][:2] == ["agent", "caller"]
    call = await the_call(desk)
    assert call.state == "live"
    names = {event.name for event in await rows(desk, CallEvent)}
    assert {"call_started", "agent_state", "transcript_final"} <= names
    assert "transcript_partial" not in names
    phone.stop()
    await phone.over()


async def test_providers_and_figures_are_on_the_ended_call(desk, dial, quiet):
    phone = await dial(desk)
    await phone.hears()
    await phone.until(lambda m: m.get("event") == "mark")
    phone.stop()
    await phone.over()
    await quiet.writer.drained(5)
    call = await the_call(desk)
    assert call.providers["recogniser"] == "scribe"
    assert call.providers["voice"] == "reader"
    assert call.duration_ms > 0
    assert call.talk_ms + call.silence_ms == call.duration_ms
    assert call.summary
    assert call.finalised_at is not None


async def test_call_is_recorded_under_its_tenant(desk, dial, quiet, settings):
    phone = await dial(desk)
    await phone.hears()
    phone.talk(200)
    phone.stop()
    await phone.over()
    await quiet.writer.drained(5)
    (recording,) = await rows(desk, Recording)
    path = settings.MEDIA_ROOT / "recordings" / recording.path
    assert recording.path.startswith(f"{desk.tenant.public_id}/")
    assert path.stat().st_size == recording.size_bytes > 44
    assert recording.state == "ready"
    assert recording.duration_ms >= 200


async def test_agent_without_recording_records_nothing(tenant, dial, quiet, settings):
    desk = await run_unscoped(
        staff_desk, tenant, "+525512340001", transcriber=TRANSCRIBER, advanced={"recording": False}
    )
    phone = await dial(desk)
    await phone.hears()
    phone.stop()
    await phone.over()
    assert await rows(desk, Recording) == []
    assert not (settings.MEDIA_ROOT / "recordings").exists()


async def test_transfer_lets_go_of_the_stream_and_dials_the_person(
    tenant, dial, post, quiet, monkeypatch
):
    on_a_script(monkeypatch, words="Quiero hablar con ventas")
    targets = [{"name": "ventas", "number": "+525511112222", "description": "compras"}]
    desk = await run_unscoped(
        staff_desk,
        tenant,
        "+525512340001",
        transcriber=TRANSCRIBER,
        functions={"transfer_targets": targets},
    )
    phone = await dial(desk)
    await phone.hears()
    phone.talk(400)
    phone.talk(400, aloud=False)
    assert await phone.over() == {
        "type": "websocket.close", "code": 1000, "reason": "transferred",
    }  # fmt: skip
    call = await the_call(desk)
    path = f"/api/v1/twilio/calls/{call.public_id}/after-stream"
    answer = await post(path, ring_form(desk.number))
    root = ElementTree.fromstring(answer.content)  # noqa: S314 - our own answer
    assert root.findtext("Dial/Number") == "+525511112222"
    await until(lambda: not quiet._background)


async def test_agent_hangs_up_after_its_goodbye_was_heard(desk, dial, quiet, monkeypatch):
    on_a_script(monkeypatch, words="Eso es todo, adiós")
    phone = await dial(desk)
    await phone.hears()
    phone.talk(400)
    phone.talk(400, aloud=False)
    assert (await phone.over())["reason"] == "agent_hung_up"
    await quiet.writer.drained(5)
    turns = await rows(desk, Utterance)
    assert turns[-1].role == "agent"
    assert turns[-1].heard_text == turns[-1].text


class PassesOn:
    """A mind that says a word and passes the caller to another agent."""

    model_name = "scripted"

    def __init__(self, agent):
        self.agent, self.observer = agent, None

    async def open(self):
        pass

    async def aclose(self):
        pass

    async def reply(self, items, committed):
        yield TextDelta("Le paso.")
        await committed.wait()
        yield HandOff(self.agent)


@pytest.fixture
def passes_on_to(monkeypatch):
    """The first mind of the next call passes the caller on; those after it are real."""

    def arrange(agent):
        real, made = setup.build_mind, []

        def build(*args, **kwargs):
            made.append(kwargs)
            return PassesOn(agent) if len(made) == 1 else real(*args, **kwargs)

        monkeypatch.setattr(setup, "build_mind", build)

    return arrange


async def test_other_agent_goes_on_with_the_conversation(desk, tenant, dial, quiet, passes_on_to):
    await run_unscoped(
        staff_desk, tenant, "+525512340009", slug="ventas", greeting="Aquí ventas.",
        transcriber=TRANSCRIBER,
    )  # fmt: skip
    passes_on_to("ventas")
    phone = await dial(desk)
    await phone.hears()
    phone.talk(400)
    phone.talk(400, aloud=False)
    await until(lambda: rows(desk, Utterance, heard_text="Aquí ventas."))
    phone.talk(400)
    phone.talk(400, aloud=False)
    await until(lambda: rows(desk, Utterance, heard_text__contains="cien pesos"))
    phone.stop()
    assert (await phone.over())["reason"] == "caller_hung_up"
    await quiet.writer.drained(5)
    turns = await rows(desk, Utterance)
    assert [turn.sequence for turn in turns] == list(range(len(turns)))
    assert turns[3].started_ms >= turns[2].ended_ms  # one clock for the whole call
    assert [t.heard_text for t in turns][:4] == [
        "Hola.", "¿Cuánto cuesta el tour?", "Le paso.", "Aquí ventas.",
    ]  # fmt: skip


async def test_caller_stays_with_the_agent_if_the_other_is_not_there(
    desk, dial, quiet, passes_on_to
):
    passes_on_to("nobody")
    phone = await dial(desk)
    await phone.hears()
    phone.talk(400)
    phone.talk(400, aloud=False)
    await until(lambda: rows(desk, CallEvent, name="hand_off_failed"))
    assert (await the_call(desk)).state == "live"
    phone.stop()
    assert (await phone.over())["reason"] == "caller_hung_up"


async def test_pressed_key_is_stored(desk, dial, quiet):
    phone = await dial(desk)
    await phone.hears()
    phone.socket.put({"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": "5"}})
    await asyncio.sleep(0.1)
    phone.stop()
    await phone.over()
    await quiet.writer.drained(5)
    assert [e.data["digit"] for e in await rows(desk, CallEvent, name="dtmf")] == ["5"]


async def test_calls_of_two_tenants_run_side_by_side(desk, other_desk, dial, quiet):
    first, second = await dial(desk, "CA1"), await dial(other_desk, "CA2")
    await asyncio.gather(first.hears(), second.hears())
    assert len(quiet) == 2
    first.stop()
    second.stop()
    await asyncio.gather(first.over(), second.over())
    await quiet.writer.drained(5)
    assert [turn.text for turn in await rows(desk, Utterance)] == ["Hola."]
    assert [turn.text for turn in await rows(other_desk, Utterance)] == ["Hello."]


async def test_caller_who_hangs_up_during_the_greeting_leaves_nothing_behind(desk, dial, quiet):
    phone = await dial(desk)
    phone.stop()
    await phone.over()
    await quiet.writer.drained(5)
    assert (await the_call(desk)).end_reason == "caller_hung_up"


async def test_calls_build_up_nothing(desk, dial, quiet):
    """Twenty calls leave no object of theirs alive."""
    phones = [await dial(desk, f"CA{number}") for number in range(20)]
    for phone in phones:
        phone.stop()
    await asyncio.gather(*(phone.over() for phone in phones))
    await quiet.writer.drained(10)
    del phone, phones
    gc.collect()
    kept = Counter(type(o).__name__ for o in gc.get_objects())
    assert {name: kept[name] for name in ("CallSession", "StoredCall", "CallStore")} == {
        "CallSession": 0, "StoredCall": 0, "CallStore": 0,
    }  # fmt: skip
