"""Telnyx's calls from the first webhook to the last row, over real HTTP and real sockets."""

from __future__ import annotations

import asyncio
import io
import wave
from datetime import timedelta

import pytest
from django.utils import timezone

from agents.brain.errors import ProviderDown
from calls import tasks
from calls.carriers.links import webhook_url
from calls.models import (
    Call,
    CarrierAccount,
    CarrierEvent,
    Command,
    Leg,
    Number,
    Recording,
    RefusedCall,
    StrayEvent,
    Utterance,
)
from calls.recordings import recordings_folder
from calls.services.carrier_recordings import recordings_overdue
from calls.services.lines import lines_sweep
from tenants.db import run_in_tenant, run_unscoped
from tests.calls.carrier_line import CALLER, sound_on
from tests.calls.scripted import desk as desk
from tests.calls.scripted import scripted as scripted
from tests.calls.telnyx_line import telnyx_line
from tests.calls.waiting import until
from tests.peers.telnyx import Fault

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def line(desk, quiet, settings, monkeypatch):
    async with telnyx_line(desk, quiet, settings, monkeypatch) as telnyx:
        yield telnyx


async def commands(line):
    return [(row.kind, row.state) for row in await line.rows(Command)]


async def test_caller_is_answered_and_hears_the_greeting(line):
    leg = await line.dialled()
    call = await line.call(state="live")
    assert (call.from_number, call.to_number) == (CALLER, line.desk.number)
    (row,) = await line.rows(Leg)
    assert (row.role, row.direction, row.session) == ("customer", "inbound", leg.session)
    await until(lambda: line.rows(Utterance, role="agent"))
    await line.hang_up(leg)
    call = await line.call(state="ended")
    assert call.end_reason == "caller_hung_up"
    await until(lambda: line.rows(Leg, state="ended", cause="completed"))
    assert ("answer", "done") in await commands(line)


async def test_agent_that_hangs_up_ends_the_telephone_connection(line, quiet):
    leg = await line.dialled()
    call = await line.call(state="live")
    quiet._calls[call.public_id].end("staff_hung_up")
    await asyncio.wait_for(leg.done.wait(), 10)
    assert (await line.call(state="ended")).end_reason == "staff_hung_up"
    await until(lambda: line.rows(Command, kind="hang_up", state="done"))


async def test_webhooks_told_twice_make_one_call_and_one_of_each_event(line):
    line.cloud.twice = True
    leg = await line.dialled()
    await line.hang_up(leg)
    await line.call(state="ended")
    told = {envelope["data"]["id"] for envelope, _ in line.cloud.delivered}
    await until(lambda: line.rows(Leg, state="ended"))
    assert {row.event_id for row in await line.rows(CarrierEvent)} == told
    assert len(line.cloud.delivered) == 2 * len(told)
    assert len(line.asked("answer")) == 1


async def test_number_of_nobody_is_turned_away_and_noted(line):
    leg = await line.cloud.call(to="+525599999999", caller=CALLER)
    await asyncio.wait_for(leg.done.wait(), 10)
    assert line.asked("reject") == [
        {"cause": "CALL_REJECTED", "command_id": line.asked("reject")[0]["command_id"]}
    ]
    (refused,) = await run_unscoped(lambda: list(RefusedCall.objects.all()))
    assert (refused.carrier, refused.to_number) == ("telnyx", "+525599999999")
    strays = await run_unscoped(lambda: list(StrayEvent.objects.order_by("pk")))
    assert strays[0].kind == "call.initiated"
    assert await line.rows(Call) == []


async def test_caller_for_whom_no_line_is_free_hears_so_and_is_in_the_call_log(line, quiet):
    quiet.limit = 0
    leg = await line.cloud.call(to=line.desk.number, caller=CALLER)
    call = await line.call(state="ended")
    assert (call.end_reason, call.answered_at) == ("refused_busy", None)
    await asyncio.wait_for(leg.done.wait(), 10)
    assert "ocupadas" in line.asked("speak")[-1]["payload"]
    quiet.limit = 400


async def test_caller_who_gives_up_before_the_answer_is_in_the_call_log(line):
    line.cloud.hold()
    leg = await line.cloud.call(to=line.desk.number, caller=CALLER)
    await line.cloud.end(leg, "originator_cancel", "caller")
    await line.cloud.release(seed=1)
    call = await line.call(state="ended")
    assert (call.end_reason, call.answered_at) == ("cancelled", None)


async def test_answer_that_telnyx_refuses_ends_the_call_as_failed(line):
    line.cloud.faults.append(Fault(status=403, code="10007", at="/answer"))
    await line.cloud.call(to=line.desk.number, caller=CALLER)
    assert (await line.call(state="ended")).end_reason == "failed"
    (order,) = await line.rows(Command, kind="answer")
    assert order.state == "failed"
    assert "403" in order.error or "10007" in order.error


async def test_answer_is_sent_again_while_the_api_is_down_and_done_once(line):
    line.cloud.faults.extend(Fault(status=status, at="/answer") for status in (503, 500))
    leg = await line.dialled()
    ids = {body["command_id"] for body in line.asked("answer")}
    assert (len(line.asked("answer")), len(ids)) == (3, 1)
    await line.hang_up(leg)
    await line.call(state="ended")


# --- a stream that is lost ---------------------------------------------------------------------


async def test_lost_stream_is_brought_back_and_the_talk_goes_on(line):
    leg = await line.dialled()
    first = await line.hears(leg)
    await until(lambda: line.rows(Utterance))
    await first.vanish()
    await until(lambda: leg.stream is not first and sound_on(leg.stream))
    call = await line.call(state="live", streams=2)
    assert call.media_lost_at is None
    await until(lambda: line.rows(Utterance, text__contains="se cortó"))
    await line.hang_up(leg)
    call = await line.call(state="ended")
    assert call.end_reason == "caller_hung_up"
    turns = await line.rows(Utterance)
    assert [turn.sequence for turn in turns] == list(range(len(turns)))
    assert [turn.started_ms for turn in turns] == sorted(turn.started_ms for turn in turns)
    assert len(line.asked("streaming_start")) == 1


async def test_lost_stream_of_a_caller_who_left_is_no_longer_waited_for(line):
    leg = await line.dialled()
    stream = await line.hears(leg)
    line.cloud.hold()
    leg.state = "ended"
    await stream.vanish()
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"


async def test_stream_that_cannot_be_brought_back_ends_with_an_apology(line):
    leg = await line.dialled()
    stream = await line.hears(leg)
    line.cloud.faults.append(Fault(status=403, code="10007", at="/streaming_start"))
    await stream.vanish()
    assert (await line.call(state="ended")).end_reason == "media_lost"
    await asyncio.wait_for(leg.done.wait(), 10)
    assert "interrumpió" in line.asked("speak")[-1]["payload"]


async def test_answered_line_without_sound_is_ended_by_the_sweeper(line, monkeypatch):
    async def never(*_args, **_kwargs):
        raise OSError("no way through")

    monkeypatch.setattr(line.cloud.stream_class, "open", never)
    leg = await line.cloud.call(to=line.desk.number, caller=CALLER)
    await until(lambda: line.rows(Leg, state="answered"))
    await until(lambda: line.rows(Command, kind="reattach", state="done"))
    late = timezone.now() + timedelta(seconds=30)
    swept = await run_in_tenant(line.desk.tenant.id, lines_sweep, now=late)
    assert swept == 1
    assert (await line.call(state="ended")).end_reason == "media_lost"
    await asyncio.wait_for(leg.done.wait(), 10)


async def test_leg_that_outlives_its_call_is_hung_up_once(line, monkeypatch):
    leg = await line.dialled()
    call = await line.call(state="live")

    def forget():
        Call.objects.filter(pk=call.pk).update(
            state="ended", end_reason="server_lost", ended_at=timezone.now() - timedelta(minutes=1)
        )
        return lines_sweep(now=timezone.now()), lines_sweep(now=timezone.now())

    assert await run_in_tenant(line.desk.tenant.id, forget) == (1, 0)
    await asyncio.wait_for(leg.done.wait(), 10)
    await until(lambda: line.rows(Leg, state="ended"))


# --- a tenant's own account --------------------------------------------------------------------


@pytest.fixture
async def account(line):
    """The desk's tenant has the account, and its number is there."""
    cloud = line.cloud

    def enter():
        row = CarrierAccount(carrier="telnyx", external_id=cloud.connection_id, record_calls=True)
        row.set_credentials(
            {
                "api_key": cloud.key,
                "public_key": cloud.public_key,
                "connection_id": cloud.connection_id,
            }
        )
        row.save()
        Number.objects.update(account=row, carrier="telnyx")
        return row

    row = await run_in_tenant(line.desk.tenant.id, enter)
    cloud.webhook_url = webhook_url("telnyx", row.public_id)
    return row


async def test_call_at_a_tenants_own_account_is_answered_with_its_key(line, account):
    leg = await line.dialled()
    (row,) = await line.rows(Leg)
    assert row.account_id == account.pk
    assert line.asked("answer")[0]["record"] == "record-from-answer"
    await line.hang_up(leg)
    await line.call(state="ended")


async def test_installations_own_account_records_if_that_is_set(line, settings):
    settings.TELNYX_RECORD_CALLS = True
    leg = await line.dialled()
    assert line.asked("answer")[0]["record"] == "record-from-answer"
    await line.hang_up(leg)
    await line.call(state="ended")


async def test_account_that_is_switched_off_is_not_listened_to(line, account):
    await run_in_tenant(line.desk.tenant.id, lambda: CarrierAccount.objects.update(is_active=False))
    await line.cloud.call(to=line.desk.number, caller=CALLER)
    assert [status for _, status in line.cloud.delivered] == [403]
    assert await line.rows(CarrierEvent) == []


async def test_number_of_another_tenant_cannot_be_reached_through_an_account(
    line, account, other_desk
):
    leg = await line.cloud.call(to=other_desk.number, caller=CALLER)
    await asyncio.wait_for(leg.done.wait(), 10)
    assert line.asked("reject")
    assert await run_in_tenant(other_desk.tenant.id, lambda: list(Call.objects.all())) == []
    assert await line.rows(Call) == []


async def test_recording_is_fetched_even_after_its_address_has_expired(line, account, monkeypatch):
    asked = []
    monkeypatch.setattr(tasks.fetch_recording, "delay", lambda *args: asked.append(args))
    leg = await line.dialled()
    await line.hang_up(leg)
    await line.call(state="ended")
    await line.cloud.record(leg, wav(seconds=2))
    await until(lambda: asked)
    ((tenant_id, recording_id, url),) = asked
    assert url in line.cloud.delivered[-1][0]["data"]["payload"]["recording_urls"].values()
    await tasks.fetch(tenant_id, recording_id, url + "-expired")
    (row,) = await line.rows(Recording, source="carrier")
    assert (row.state, row.duration_ms, row.sample_rate) == ("ready", 2000, 8000)
    assert (recordings_folder() / row.path).read_bytes() == wav(seconds=2)


async def test_recording_whose_first_fetch_fails_is_fetched_by_the_sweeper(
    line, account, monkeypatch
):
    asked = []
    monkeypatch.setattr(tasks.fetch_recording, "delay", lambda *args: asked.append(args))
    leg = await line.dialled()
    await line.hang_up(leg)
    await line.call(state="ended")
    await line.cloud.record(leg, wav(seconds=2))
    await until(lambda: asked)
    line.cloud.faults.append(Fault(status=503))
    with pytest.raises(ProviderDown):
        await tasks.fetch(*asked[0])
    line.cloud.files |= {"moved": line.cloud.files.popitem()[1]}
    (kept,) = line.cloud.recordings.values()
    kept["download_urls"] = {"wav": asked[0][2].rpartition("/")[0] + "/moved"}
    later = timezone.now() + timedelta(minutes=11)
    await run_in_tenant(line.desk.tenant.id, lambda: recordings_overdue(now=later))
    await until(lambda: len(asked) == 2)
    await tasks.fetch(*asked[1])
    (row,) = await line.rows(Recording, source="carrier")
    assert (row.state, row.duration_ms) == ("ready", 2000)


async def test_recording_that_telnyx_has_no_more_is_missing(line, account, monkeypatch):
    asked = []
    monkeypatch.setattr(tasks.fetch_recording, "delay", lambda *args: asked.append(args))
    leg = await line.dialled()
    await line.hang_up(leg)
    await line.call(state="ended")
    await line.cloud.record(leg, wav(seconds=1))
    await until(lambda: asked)
    line.cloud.files.clear()
    line.cloud.recordings.clear()
    await tasks.fetch(*asked[0])
    assert [row.state for row in await line.rows(Recording, source="carrier")] == ["missing"]


def wav(seconds):
    """Silence in two channels of 8 kHz."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(seconds * 8000 * 4))
    return file.getvalue()
