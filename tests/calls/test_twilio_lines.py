"""Twilio's calls from the first webhook to the last row, over real HTTP and real sockets."""

from __future__ import annotations

import io
import wave

import pytest
from django.utils import timezone

from calls import tasks
from calls.models import (
    Call,
    CarrierAccount,
    CarrierEvent,
    Command,
    Leg,
    Number,
    Recording,
    StrayEvent,
    Utterance,
)
from calls.recordings import recordings_folder
from calls.services.lines import SILENT_AFTER, lines_sweep
from tenants.db import run_in_tenant, run_unscoped
from tests.calls.carrier_line import CALLER, sound_on
from tests.calls.scripted import desk as desk
from tests.calls.scripted import scripted as scripted
from tests.calls.twilio_line import twilio_line
from tests.calls.waiting import until
from tests.peers.twilio_cloud import Fault, Person

pytestmark = pytest.mark.django_db(transaction=True)

CUSTOMER = "+525598761111"


@pytest.fixture
async def line(desk, quiet, settings, monkeypatch):
    async with twilio_line(desk, quiet, settings, monkeypatch) as twilio:
        yield twilio


async def strays():
    return await run_unscoped(lambda: list(StrayEvent.objects.all()))


# --- the leg -----------------------------------------------------------------------------------


async def test_call_has_its_leg_while_it_rings_and_follows_it_to_its_end(line):
    line.cloud.twice = True
    leg = await line.dialled()
    (row,) = await line.rows(Leg)
    assert (row.carrier_id, row.role, row.direction) == (leg.sid, "customer", "inbound")
    await until(lambda: line.rows(Leg, state="answered"))
    await line.cloud.hang_up(leg)
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"
    await until(lambda: line.rows(Leg, state="ended", cause="completed"))
    assert len(await line.rows(CarrierEvent, kind="call-status")) == 1
    assert await strays() == []


async def test_late_and_shuffled_callbacks_change_nothing_about_the_call(line):
    line.cloud.hold()
    leg = await line.dialled()
    await line.cloud.hang_up(leg)
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"
    await line.cloud.release(seed=3)
    await until(lambda: line.rows(Leg, state="ended"))
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"
    assert await strays() == []


# --- a stream that is lost ---------------------------------------------------------------------


async def test_lost_stream_is_brought_back_in_the_answer_and_the_talk_goes_on(line):
    leg = await line.dialled()
    first = await line.hears(leg)
    await until(lambda: line.rows(Utterance))
    await first.vanish()
    await until(lambda: leg.stream is not first and sound_on(leg.stream))
    await line.call(state="live", streams=2, media_lost_at=None)
    await until(lambda: line.rows(Utterance, text__contains="se cortó"))
    await line.cloud.hang_up(leg)
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"
    turns = await line.rows(Utterance)
    assert [turn.sequence for turn in turns] == list(range(len(turns)))
    assert await line.rows(Command) == []


async def test_line_that_loses_its_sound_too_often_is_ended_with_an_apology(line):
    leg = await line.dialled()
    for streams in (1, 2, 3):
        await line.call(state="live", streams=streams)
        await (await line.hears(leg)).vanish()
    await line.over(leg)
    assert (await line.call(state="ended")).end_reason == "media_lost"
    assert "interrumpió" in leg.said[-1]
    assert len(leg.lines) == 3


async def test_line_that_twilio_never_asks_about_is_ended_with_an_apology(line):
    leg = await line.dialled()
    line.cloud.asks = False
    await (await line.hears(leg)).vanish()
    await until(lambda: line.rows(Call, media_lost_at__isnull=False))
    late = timezone.now() + SILENT_AFTER
    assert await run_in_tenant(line.desk.tenant.id, lines_sweep, now=late) == 1
    await line.over(leg)
    assert (await line.call(state="ended")).end_reason == "media_lost"
    assert "interrumpió" in leg.said[-1]
    await until(lambda: line.rows(Leg, state="ended"))


async def test_question_whose_answer_was_lost_gets_the_same_stream(line):
    line.cloud.asks_twice = True
    leg = await line.cloud.call(to=line.desk.number, caller=CALLER)
    await (await line.hears(leg)).vanish()
    await line.call(state="live", streams=2)
    await line.hears(leg)
    await line.cloud.hang_up(leg)
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"
    assert len(leg.lines) == 2


async def test_stream_that_never_opens_ends_with_an_apology(line, monkeypatch):
    async def never(*_args, **_kwargs):
        raise OSError("no way through")

    monkeypatch.setattr(line.cloud.stream_class, "open", never)
    leg = await line.cloud.call(to=line.desk.number, caller=CALLER)
    await line.over(leg)
    assert (await line.call(state="ended")).end_reason == "failed"
    assert "interrumpió" in leg.said[-1]


# --- a tenant's own account --------------------------------------------------------------------


@pytest.fixture
async def account(line):
    """The desk's tenant has an account of its own, and its number is there."""

    def enter():
        row = CarrierAccount(carrier="twilio", external_id=line.cloud.sid, record_calls=True)
        row.set_credentials(
            {"account_sid": line.cloud.sid, "auth_token": line.cloud.account.auth_token}
        )
        row.save()
        Number.objects.update(account=row, carrier="twilio")
        return row

    row = await run_in_tenant(line.desk.tenant.id, enter)
    line.cloud.hooks += f"/accounts/{row.public_id}"
    return row


async def test_call_at_a_tenants_own_account_is_taken_with_its_leg(line, account, settings):
    settings.TWILIO_ACCOUNT_SID = "AC" + "9" * 32  # the installation's is another one
    leg = await line.dialled()
    (row,) = await line.rows(Leg)
    assert (row.carrier_id, row.account_id) == (leg.sid, account.pk)
    await line.cloud.hang_up(leg)
    await line.call(state="ended")
    await until(lambda: line.rows(Leg, state="ended"))
    assert await strays() == []


async def test_stream_of_another_account_gets_nothing(line, account):
    def elsewhere():
        CarrierAccount.objects.update(external_id="AC" + "8" * 32)

    await run_in_tenant(line.desk.tenant.id, elsewhere)
    leg = await line.cloud.call(to=line.desk.number, caller=CALLER)
    await line.over(leg)
    call = await line.call(state="ended")
    assert (call.end_reason, call.answered_at) == ("failed", None)


# --- calls that we place -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason"),
    [("busy", "busy"), ("no-answer", "no_answer"), ("failed", "failed")],
)
async def test_call_that_nobody_takes_ends_with_its_reason(line, monkeypatch, status, reason):
    line.cloud.twice = True
    line.cloud.people[CUSTOMER] = Person(status=status)
    await line.place(CUSTOMER)
    call = await line.call(state="ended")
    assert (call.end_reason, call.answered_at) == (reason, None)
    await until(lambda: line.rows(Leg, state="ended", cause=reason))
    await until(lambda: line.rows(Command, state="done"))
    (form,) = line.dials()
    assert (form["AsyncAmd"], form["MachineDetection"]) == (["true"], ["Enable"])


async def test_dial_whose_answer_was_lost_is_not_repeated_and_ends_by_its_callbacks(
    line, monkeypatch
):
    line.cloud.people[CUSTOMER] = Person(status="busy")
    line.cloud.faults.append(Fault(cut=True, late=True))
    await line.place(CUSTOMER)
    assert (await line.call(state="ended")).end_reason == "busy"
    await until(lambda: line.rows(Command, state="unknown"))
    assert len(line.dials()) == len(line.cloud.legs) == 1


async def test_machine_is_hung_up_on_where_no_messages_are_left(line, monkeypatch):
    line.cloud.people[CUSTOMER] = Person(answered_by="machine_end_beep")
    await line.place(CUSTOMER)
    assert (await line.call(state="ended")).end_reason == "voicemail"
    await until(lambda: line.rows(Leg, state="ended", picked_up="machine"))


async def test_recording_of_a_call_is_fetched_and_stored(line, account, monkeypatch):
    asked = []
    monkeypatch.setattr(tasks.fetch_recording, "delay", lambda *args: asked.append(args))
    await line.place(CUSTOMER)
    await until(lambda: line.rows(Utterance, role="agent"))
    (leg,) = line.cloud.legs.values()
    (form,) = line.dials()
    assert (form["Record"], form["RecordingChannels"]) == (["true"], ["dual"])
    await line.cloud.hang_up(leg)
    call = await line.call(state="ended")
    line.cloud.hooks = f"{line.cloud.account.server}/api/v1/twilio/calls/{call.public_id}"
    await line.cloud.recorded(leg, wav(seconds=2))
    await until(lambda: asked)
    await tasks.fetch(*asked[0])
    (row,) = await line.rows(Recording, source="carrier")
    assert (row.state, row.duration_ms, row.sample_rate) == ("ready", 2000, 8000)
    assert (recordings_folder() / row.path).read_bytes() == wav(seconds=2)


async def test_recording_of_an_incoming_call_is_ordered_once_fetched_and_stored(
    line, account, monkeypatch
):
    asked = []
    monkeypatch.setattr(tasks.fetch_recording, "delay", lambda *args: asked.append(args))
    leg = await line.dialled()
    await (await line.hears(leg)).vanish()
    await line.call(state="live", streams=2)  # which is the same call, recorded by one order
    await until(lambda: line.rows(Command, kind="take", state="done"))
    (form,) = recordings_ordered(line)
    assert form["RecordingChannels"] == ["dual"]
    assert form["RecordingStatusCallbackEvent"] == ["completed", "absent"]
    await line.cloud.hang_up(leg)
    await line.call(state="ended")
    await until(lambda: asked)
    await tasks.fetch(*asked[0])
    (row,) = await line.rows(Recording, source="carrier")
    assert (row.state, row.sample_rate) == ("ready", 8000)
    assert len(asked) == 1


async def test_order_to_record_whose_answer_was_lost_is_not_repeated(line, account):
    line.cloud.faults.append(Fault(cut=True, late=True, at="/Recordings.json"))
    leg = await line.dialled()
    await until(lambda: line.rows(Command, kind="take", state="unknown"))
    assert len(recordings_ordered(line)) == 1
    assert (await line.call(state="live")).streams == 1
    await line.cloud.hang_up(leg)
    await line.call(state="ended")


@pytest.mark.parametrize("wanted", [True, False])
async def test_installations_own_account_records_if_that_is_set(line, settings, wanted):
    settings.TWILIO_RECORD_CALLS = wanted
    leg = await line.dialled()
    if wanted:
        await until(lambda: recordings_ordered(line))
    await line.cloud.hang_up(leg)
    await line.call(state="ended")
    assert len(recordings_ordered(line)) == wanted


async def test_account_that_records_nothing_orders_nothing(line, account):
    await run_in_tenant(
        line.desk.tenant.id, lambda: CarrierAccount.objects.update(record_calls=False)
    )
    leg = await line.dialled()
    await line.cloud.hang_up(leg)
    await line.call(state="ended")
    assert await line.rows(Command) == []


def recordings_ordered(line):
    return [form for _, path, form in line.cloud.requests if path.endswith("/Recordings.json")]


def wav(seconds):
    """Silence in two channels of 8 kHz."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(seconds * 8000 * 4))
    return file.getvalue()
