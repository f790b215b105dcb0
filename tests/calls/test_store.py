"""What the loop tells is in the database within a second, and never lost on the way."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, OperationalError, connection
from django.utils import timezone

from calls import tasks
from calls.jsontext import clean
from calls.line import writer as writer_module
from calls.line.rows import CallRef, Closing, EventRow, TurnRow
from calls.line.store import CallStore
from calls.line.writer import Writer
from calls.models import Call, CallEvent, Utterance
from calls.services.calls import (
    call_close,
    calls_alive,
    calls_sweep,
    calls_without_figures,
)
from calls.services.finalise import call_finalise
from calls.services.legs import call_reopen
from calls.tasks import finalise_call, sweep_calls
from calls.voice.ports import Turn
from tenants.context import current_tenant_id
from tenants.db import run_in_tenant, tenant_transaction
from tests.calls.waiting import until
from tests.rows import make_row


def turn(text="hola", **fields):
    spoken = {"role": "caller", "heard_text": text, "interrupted": False, "started": 0.0,
              "ended": 100.0, **fields}  # fmt: skip
    return Turn(text=text, **spoken)


def live_call(desk, **fields):
    now = timezone.now()
    with tenant_transaction(desk.tenant.id):
        return Call.objects.create(
            agent=desk.agent, version=desk.version, channel="twilio", language="es",
            carrier_id=uuid.uuid4().hex,
            **{"state": "live", "started_at": now, "answered_at": now, "heartbeat_at": now,
               **fields},
        )  # fmt: skip


@pytest.fixture
def writer():
    return Writer()


@pytest.fixture
def call(desk):
    return live_call(desk)


def store_for(call, writer, **kwargs):
    return CallStore(CallRef(call.tenant_id, call.pk, call.public_id), writer, **kwargs)


async def rows(desk, model, **filters):
    return await run_in_tenant(desk.tenant.id, lambda: list(model.objects.filter(**filters)))


# --- in memory (no database) ---------------------------------------------------------------


class Pen:
    """A writer that only counts."""

    def __init__(self):
        self.added, self.woken = [], 0

    def add(self, store):
        self.added.append(store)

    def wake(self):
        self.woken += 1


def memory_only(**kwargs):
    return CallStore(CallRef(1, 1, uuid.uuid4()), Pen(), **kwargs)


async def test_turns_and_events_are_numbered_in_order():
    store = memory_only()
    store.event(1.0, "a", {})
    store.turn(turn("one"))
    store.event(2.0, "b", {})
    store.turn(turn("two"))
    items = store.head(10)
    assert [type(item) for item in items] == [EventRow, TurnRow, EventRow, TurnRow]
    assert [item.sequence for item in items] == [0, 0, 1, 1]


async def test_transient_events_are_shown_and_not_kept():
    shown = []
    store = memory_only(watch=shown.append, transient=frozenset({"partial"}))
    store.event(1.0, "partial", {"text": "ho"})
    store.event(2.0, "final", {"text": "hola"})
    assert [row.name for row in shown] == ["partial", "final"]
    assert [item.name for item in store.head(10)] == ["final"]


async def test_events_are_bounded_and_turns_are_not():
    store = memory_only(max_pending=3)
    for number in range(10):
        store.event(number, "event", {})
    store.turn(turn())
    assert store.pending == 4
    assert store.dropped == 7
    store.confirm(4)
    store.event(11.0, "event", {})
    note, event = store.head(10)
    assert (note.name, note.data) == ("events_dropped", {"count": 7})
    assert event.name == "event"


async def test_closing_twice_ends_a_call_once():
    store = memory_only()
    store.close(Closing("caller_hung_up", timezone.now()))
    store.close(Closing("drained", timezone.now()))
    assert [item.reason for item in store.head(10)] == ["caller_hung_up"]
    assert not await store.drained(0.01)
    store.confirm(1)
    assert await store.drained(0.01)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("a\x00b", "ab"),
        ("\ud800x", "?x"),
        (float("nan"), None),
        (float("inf"), None),
        ({1: {"x": {2}}}, {"1": {"x": [2]}}),
        (uuid.UUID(int=7), str(uuid.UUID(int=7))),
        (True, True),
        ([1, 2.5, None], [1, 2.5, None]),
    ],
)
def test_anything_can_be_stored_as_json(value, stored):
    assert clean(value) == stored


def test_endless_nesting_is_cut():
    nested: list[object] = []
    nested.append(nested)
    assert isinstance(clean(nested), list)


# --- in the database -------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
async def test_turns_are_durable_within_a_second(desk, call, writer):
    store = store_for(call, writer)
    store.turn(turn("uno"))
    store.event(5.0, "dtmf", {"digit": "5"})
    assert await until(lambda: rows(desk, Utterance), seconds=5)
    assert [t.text for t in await rows(desk, Utterance)] == ["uno"]
    assert (await rows(desk, CallEvent))[0].data == {"digit": "5"}
    assert writer_module.BATCH_WINDOW <= 0.5
    store.close(Closing("caller_hung_up", timezone.now()))
    assert await writer.drained(5) == 0


@pytest.mark.django_db(transaction=True)
async def test_nothing_is_lost_while_the_database_is_away(desk, call, writer, monkeypatch):
    real, failures = writer_module.write_batches, []

    def away_three_times(batches):
        if len(failures) < 3:
            failures.append(1)
            raise OperationalError("the connection is closed")
        real(batches)

    monkeypatch.setattr(writer_module, "write_batches", away_three_times)
    monkeypatch.setattr(writer_module, "_RETRY_FIRST", 0.01)
    store = store_for(call, writer)
    for number in range(450):
        store.turn(turn(f"turn {number}"))
    store.close(Closing("caller_hung_up", timezone.now()))
    assert await writer.drained(20) == 0
    found = await rows(desk, Utterance)
    assert [t.text for t in found] == [f"turn {n}" for n in range(450)]
    assert (await rows(desk, Call))[0].state == "ended"
    assert len(failures) == 3
    assert not writer.failing


@pytest.mark.django_db(transaction=True)
async def test_commit_that_was_not_confirmed_stores_nothing_twice(desk, call, writer, monkeypatch):
    real, attempts = writer_module.run_in_tenant, []

    async def confirmed_the_second_time(tenant_id, fn, *args, **kwargs):
        await real(tenant_id, fn, *args, **kwargs)
        attempts.append(fn)
        if len(attempts) == 1:
            raise OperationalError("the connection broke while committing")

    monkeypatch.setattr(writer_module, "run_in_tenant", confirmed_the_second_time)
    monkeypatch.setattr(writer_module, "_RETRY_FIRST", 0.01)
    store = store_for(call, writer)
    store.turn(turn("once"))
    store.event(1.0, "dtmf", {"digit": "1"})
    store.close(Closing("agent_hung_up", timezone.now()))
    assert await writer.drained(10) == 0
    assert len(await rows(desk, Utterance)) == len(await rows(desk, CallEvent)) == 1
    assert len(attempts) >= 2


@pytest.mark.django_db(transaction=True)
async def test_row_that_cannot_be_stored_costs_nothing_else(desk, other_desk, call, writer, caplog):
    other = await run_in_tenant(other_desk.tenant.id, lambda: live_call(other_desk))
    store, neighbour = store_for(call, writer), store_for(other, writer)
    store.turn(turn("before"))
    store.turn(turn("impossible", role="ghost"))
    store.turn(turn("after"))
    neighbour.turn(turn("mine"))
    for each in (store, neighbour):
        each.close(Closing("caller_hung_up", timezone.now()))
    assert await writer.drained(10) == 0
    assert [t.text for t in await rows(desk, Utterance)] == ["before", "after"]
    assert [t.text for t in await rows(other_desk, Utterance)] == ["mine"]
    assert "cannot be stored, ever" in caplog.text


@pytest.mark.django_db(transaction=True)
async def test_hostile_text_is_stored(desk, call, writer):
    store = store_for(call, writer)
    store.turn(turn("nul \x00 and \ud800", metrics={"latency": float("nan")}, ended=-5.0))
    store.event(0.0, "x" * 200, {"deep": {"a": {"b": object()}}})
    store.close(Closing("caller_hung_up", timezone.now()))
    assert await writer.drained(10) == 0
    (row,) = await rows(desk, Utterance)
    assert (row.text, row.metrics, row.ended_ms) == ("nul  and ?", {"latency": None}, 0.0)
    assert len((await rows(desk, CallEvent))[0].name) == 64


@pytest.mark.django_db(transaction=True)
async def test_events_cannot_be_changed_or_removed(desk, call, writer):
    store = store_for(call, writer)
    store.event(1.0, "dtmf", {"digit": "1"})
    store.close(Closing("caller_hung_up", timezone.now()))
    await writer.drained(10)
    for change in (
        lambda: CallEvent.objects.update(name="forged"),
        lambda: CallEvent.objects.all().delete(),
        lambda: connection.cursor().execute("DELETE FROM calls_callevent"),
    ):
        with pytest.raises(Exception, match="append-only"):
            await run_in_tenant(desk.tenant.id, change)
    assert [event.name for event in await rows(desk, CallEvent)] == ["dtmf"]


# --- calls that nobody holds any more --------------------------------------------------------


def stored(call):
    with tenant_transaction(call.tenant_id):
        return Call.objects.get(pk=call.pk)


@pytest.mark.django_db(transaction=True)
def test_sweeper_closes_a_call_whose_server_is_gone_and_keeps_its_turns(desk, other_desk):
    last_heard = timezone.now() - timedelta(minutes=2)
    lost = live_call(desk, heartbeat_at=last_heard, answered_at=last_heard, started_at=last_heard)
    alive, other = live_call(desk), live_call(other_desk, heartbeat_at=last_heard)
    with tenant_transaction(desk.tenant.id):
        Utterance.objects.create(call=lost, sequence=0, role="caller", text="¿Hay tours?",
                                 started_ms=0, ended_ms=900)  # fmt: skip
    assert sweep_calls() == 2
    call = stored(lost)
    assert (call.state, call.end_reason, call.ended_at) == ("ended", "server_lost", last_heard)
    assert call.outline["topics"] == ["¿Hay tours?"]
    assert stored(other).end_reason == "server_lost"
    assert stored(alive).state == "live"
    assert sweep_calls() == 0


@pytest.mark.django_db(transaction=True)
def test_sweeper_closes_a_call_whose_stream_never_came(desk):
    rang = timezone.now() - timedelta(minutes=10)
    call = live_call(desk, state="ringing", answered_at=None, heartbeat_at=None, started_at=rang)
    assert sweep_calls() == 1
    assert stored(call).end_reason == "cancelled"


@pytest.mark.django_db(transaction=True)
def test_call_that_was_taken_for_lost_is_live_again_when_its_server_is_heard_of(desk):
    old = timezone.now() - timedelta(minutes=2)
    call = live_call(desk, heartbeat_at=old)
    with tenant_transaction(desk.tenant.id):
        calls_sweep(now=timezone.now())
        calls_alive(call_ids=[call.pk])
    call = stored(call)
    assert (call.state, call.end_reason, call.ended_at) == ("live", "", None)


@pytest.mark.django_db
def test_call_ends_for_no_reason_that_is_not_listed(desk):
    call = live_call(desk)
    with (
        pytest.raises(IntegrityError, match="end_reason_is_known"),
        tenant_transaction(desk.tenant.id),
    ):
        call_close(call_id=call.pk, closing=Closing("struck_by_lightning", timezone.now()))
    assert (stored(call).state, stored(call).end_reason) == ("live", "")


@pytest.mark.django_db(transaction=True)
def test_the_servers_word_on_the_end_is_better_than_the_sweepers(desk):
    call = live_call(desk, heartbeat_at=timezone.now() - timedelta(minutes=2))
    with tenant_transaction(desk.tenant.id):
        calls_sweep(now=timezone.now())
        assert call_close(call_id=call.pk, closing=Closing("agent_hung_up", timezone.now()))
        assert not call_close(call_id=call.pk, closing=Closing("media_lost", timezone.now()))
        calls_alive(call_ids=[call.pk])
    assert stored(call).end_reason == "agent_hung_up"


@pytest.mark.django_db(transaction=True)
async def test_heartbeat_keeps_a_silent_call_from_the_sweeper(desk, writer, monkeypatch):
    monkeypatch.setattr(writer_module, "HEARTBEAT_SECONDS", 0.05)
    call = await run_in_tenant(
        desk.tenant.id,
        lambda: live_call(desk, heartbeat_at=timezone.now() - timedelta(minutes=2)),
    )
    store = store_for(call, writer)
    minute_ago = timezone.now() - timedelta(minutes=1)
    assert await until(lambda: rows(desk, Call, heartbeat_at__gt=minute_ago))
    store.close(Closing("caller_hung_up", timezone.now()))
    assert await writer.drained(5) == 0


@pytest.mark.parametrize(
    ("task", "step"),
    [
        (tasks.sweep_calls, "calls_sweep"),
        (tasks.sweep_messages, "messages_told"),
        (tasks.sweep_carriers, "legs_waiting"),
        (tasks.forget_carrier_events, "events_forget"),
        (tasks.run_campaigns, "campaigns_underway"),
        (tasks.run_call_backs, "call_backs_underway"),
    ],
)
def test_first_tenants_defect_keeps_no_sweeper_from_the_second(
    tenant, other_tenant, monkeypatch, task, step
):
    swept, own = [], getattr(tasks, step)

    def fail_first(**arguments):
        swept.append(current_tenant_id("a sweeper"))
        if len(swept) == 1:  # whichever it is: their order changes each time
            raise RuntimeError("broken")
        return own(**arguments)

    monkeypatch.setattr(tasks, step, fail_first)
    monkeypatch.setattr(tasks, "_platform_is_open", lambda: True)
    task()
    assert sorted(swept) == [tenant.id, other_tenant.id]


# --- figures -----------------------------------------------------------------------------------


def test_calls_without_figures_are_asked_for_often_while_young_and_rarely_after(
    tenant, monkeypatch, django_capture_on_commit_callbacks
):
    asked = []
    monkeypatch.setattr(finalise_call, "delay", lambda _tenant_id, pk: asked.append(pk))
    now = timezone.now()
    with tenant_transaction(tenant.id):
        ages = (timedelta(seconds=30), timedelta(minutes=5), timedelta(days=3))
        fresh, young, old = (
            make_row(Call, state="ended", end_reason="caller_hung_up", ended_at=now - age).pk
            for age in ages
        )  # fmt: skip
        with django_capture_on_commit_callbacks(execute=True):
            for sweep in range(60):
                calls_without_figures(now=now + timedelta(microseconds=sweep))
    assert (asked.count(fresh), asked.count(young)) == (0, 60)
    asked.clear()
    with tenant_transaction(tenant.id), django_capture_on_commit_callbacks(execute=True):
        for sweep in range(120):
            calls_without_figures(now=now + timedelta(hours=1, seconds=10 * sweep))
    assert (asked.count(fresh), asked.count(young), asked.count(old)) == (2, 2, 2)


@pytest.mark.django_db(transaction=True)
def test_figures_are_made_once_and_the_same_again(desk):
    answered = timezone.now() - timedelta(seconds=10)
    call = live_call(desk, answered_at=answered)
    with tenant_transaction(desk.tenant.id):
        for sequence, (role, start, end, interrupted, metrics) in enumerate(
            [
                ("agent", 0, 2000, False, {}),
                ("caller", 3000, 5000, False, {}),
                ("agent", 4500, 7000, True, {"response_latency": 700.0}),
            ]
        ):
            Utterance.objects.create(
                call=call, sequence=sequence, role=role, text="¿Cuánto cuesta?", started_ms=start,
                ended_ms=end, interrupted=interrupted, metrics=metrics, heard_text="Cien pesos.",
            )  # fmt: skip
        call_close(
            call_id=call.pk, closing=Closing("caller_hung_up", answered + timedelta(seconds=10))
        )
    first = stored(call)
    finalise_call(desk.tenant.id, call.pk)
    second = stored(call)
    assert first.updated_at == second.updated_at
    assert (first.duration_ms, first.talk_ms, first.silence_ms) == (10_000, 6000, 4000)
    assert (first.caller_talk_ms, first.agent_talk_ms) == (2000, 4500)
    assert (first.longest_silence_ms, first.interruptions, first.response_ms) == (3000, 1, 700)
    assert first.summary == "Preguntó por: Cuánto cuesta. Fin: el cliente colgó."
    assert first.outline["answers"] == [{"question": "¿Cuánto cuesta?", "answer": "Cien pesos."}]


@pytest.mark.django_db
def test_call_that_is_live_again_while_its_figures_are_made_stays_live(desk):
    now = timezone.now()
    call = live_call(
        desk, state="ended", ended_at=now, end_reason="transferred", transfer_to="+525511112222"
    )
    with tenant_transaction(desk.tenant.id):
        as_read = Call.objects.get(pk=call.pk)
        assert call_reopen(call_id=call.pk, now=now)
        assert not call_finalise(call=as_read)
        found = stored(call)
        assert (found.state, found.end_reason, found.ended_at) == ("live", "", None)
        assert (found.finalised_at, found.summary) == (None, "")
        again = Closing("caller_hung_up", now + timedelta(seconds=5))
        assert call_close(call_id=call.pk, closing=again)
        assert not call_finalise(call=as_read)  # another end than the one it knows
        assert call_finalise(call=stored(call))
    assert "el cliente colgó" in stored(call).summary


@pytest.mark.django_db(transaction=True)
def test_task_for_a_call_that_is_gone_or_live_does_nothing(desk):
    call = live_call(desk)
    finalise_call(desk.tenant.id, call.pk)
    finalise_call(desk.tenant.id, 10**9)
    assert stored(call).finalised_at is None


@pytest.mark.django_db(transaction=True)
def test_broker_that_is_away_does_not_undo_the_end_of_a_call(desk, monkeypatch):
    call = live_call(desk)

    def away(*_args):
        raise OSError("no broker")

    monkeypatch.setattr(finalise_call, "delay", away)
    with tenant_transaction(desk.tenant.id):
        call_close(call_id=call.pk, closing=Closing("caller_hung_up", timezone.now()))
    assert stored(call).state == "ended"
    monkeypatch.undo()
    with tenant_transaction(desk.tenant.id):
        Call.objects.update(ended_at=timezone.now() - timedelta(minutes=5))
    sweep_calls()
    assert stored(call).finalised_at is not None
