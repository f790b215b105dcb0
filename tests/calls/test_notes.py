"""Messages and call-backs of a call: kept once, shown to the right people, dealt with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from calls.line.rows import EventRow
from calls.line.store import EVENTS_DROPPED
from calls.models import CallBack, TakenMessage
from calls.services.calls import call_append
from calls.services.notes import AlreadySettled, call_back_settle, message_settle
from calls.voice import CallBack as CallBackAction
from calls.voice import TakeMessage
from calls.voice.parting import action_data
from tenants.db import tenant_transaction
from tenants.models import AuditEntry
from tests.calls.test_store import live_call, memory_only

pytestmark = pytest.mark.django_db

MESSAGE = TakeMessage("El autobús llegó tarde.", "Ana", "55 1234 5678", "gerencia")
AT_FIVE = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)
LATER = CallBackAction(AT_FIVE, reason="el reembolso")
CALLER, OURS = "+13055550100", "+525512340000"


@pytest.fixture
def call(desk):
    desk.tenant.time_zone = "America/Mexico_City"
    desk.tenant.save()
    return live_call(desk, from_number=CALLER, to_number=OURS)


def tell(call, *actions, sequence=0):
    """What the loop told of these actions, on its way to the database."""
    items = [
        EventRow(number, 10.0, "action", action_data(action))
        for number, action in enumerate(actions, start=sequence)
    ]
    with tenant_transaction(call.tenant_id):
        call_append(call_id=call.pk, items=items)


def kept(call, model):
    with tenant_transaction(call.tenant_id):
        return list(model.objects.filter(call=call).order_by("sequence"))


def test_a_message_is_kept_with_who_left_it_and_where_they_are_reached(call):
    tell(call, MESSAGE, TakeMessage("Otra."))
    first, second = kept(call, TakenMessage)
    assert (first.text, first.from_name, first.for_whom) == (
        "El autobús llegó tarde.", "Ana", "gerencia",
    )  # fmt: skip
    assert (first.number, second.number) == ("+525512345678", CALLER)
    assert first.handled_at is None


def test_a_call_back_is_kept_with_the_clock_that_it_was_agreed_on(call):
    tell(call, LATER)
    (row,) = kept(call, CallBack)
    assert (row.due_at, row.time_zone, row.number) == (AT_FIVE, "America/Mexico_City", CALLER)
    assert (row.reason, row.state) == ("el reembolso", "scheduled")
    assert row.local_due_at.hour == 17
    assert str(row) == f"2026-11-23 17:00 {CALLER}"


def test_what_is_stored_twice_is_there_once(call):
    for _ in range(2):
        tell(call, MESSAGE, LATER)
    assert len(kept(call, TakenMessage)) == len(kept(call, CallBack)) == 1


@pytest.mark.parametrize(
    ("given", "direction", "number"),
    [
        ("", "inbound", CALLER),
        ("", "outbound", OURS),
        ("5512345678", "inbound", "+525512345678"),
        ("3055550199", "outbound", "+13055550199"),
        ("+34 600 100 200", "inbound", "+34600100200"),
        ("12", "inbound", "12"),
    ],
)
def test_a_number_is_understood_as_one_of_our_lines_country(desk, given, direction, number):
    call = live_call(desk, from_number=CALLER, to_number=OURS, direction=direction)
    tell(call, TakeMessage("Hola.", number=given))
    assert kept(call, TakenMessage)[0].number == number


def test_a_page_without_numbers_keeps_what_was_given(desk):
    call = live_call(desk)
    tell(call, TakeMessage("Hola.", number="5512345678"), TakeMessage("Hola."))
    assert [row.number for row in kept(call, TakenMessage)] == ["5512345678", ""]


def test_text_that_the_database_refuses_is_made_fit(call):
    tell(call, TakeMessage("a\x00b" + "c" * 5000, from_name="d" * 500))
    (row,) = kept(call, TakenMessage)
    assert (row.text[:2], len(row.text), len(row.from_name)) == ("ab", 4000, 120)


def test_what_the_agent_did_is_never_dropped():
    store = memory_only(max_pending=2)
    for number in range(4):
        store.event(number, "vad", {})
    store.event(9.0, "action", action_data(MESSAGE))
    names = [item.name for item in store.head(10)]
    assert names == ["vad", "vad", EVENTS_DROPPED, "action"]


def test_the_due_ones_are_found_in_order(call):
    now = timezone.now()
    times = [now + timedelta(hours=1), now - timedelta(hours=1), now - timedelta(hours=2)]
    tell(call, *(CallBackAction(at) for at in times))
    with tenant_transaction(call.tenant_id):
        call_back_settle(
            call_back=CallBack.objects.get(sequence=1), state=CallBack.State.DONE, actor="tests"
        )
        assert [row.sequence for row in CallBack.objects.due(now)] == [2]


def test_a_note_is_settled_once_and_the_trail_says_by_whom(call, staff):
    tell(call, MESSAGE, LATER)
    with tenant_transaction(call.tenant_id):
        message, later = TakenMessage.objects.get(), CallBack.objects.get()
        message_settle(message=message, actor=staff)
        call_back_settle(call_back=later, state=CallBack.State.CANCELLED, actor=staff)
        with pytest.raises(AlreadySettled):
            message_settle(message=message, actor=staff)
        with pytest.raises(AlreadySettled):
            call_back_settle(call_back=later, state=CallBack.State.DONE, actor=staff)
        message.refresh_from_db()
        later.refresh_from_db()
        trail = AuditEntry.objects.filter(actor=staff).values_list("action", flat=True)
        assert sorted(trail) == ["call_back.settle", "message.settle"]
    assert message.handled_at is not None
    assert (later.state, later.settled_at is not None) == ("cancelled", True)


# --- over HTTP ----------------------------------------------------------------------------


def test_members_see_their_tenants_notes_and_nobody_elses(call, login, staff, outsider):
    tell(call, MESSAGE, LATER)
    for path in ("/api/v1/taken-messages/", "/api/v1/call-backs/"):
        (found,) = login(staff).get(path).json()["results"]
        assert found["call"] == str(call.public_id)
        one = f"{path}{found['id']}/"
        assert login(staff).get(one).json() == found
        assert login(outsider).get(path).json()["results"] == []
        assert login(outsider).get(one).status_code == 404


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("taken-messages/?open=true", 1),
        ("taken-messages/?open=false", 0),
        ("call-backs/?state=scheduled", 1),
        ("call-backs/?state=done", 0),
    ],
)
def test_the_lists_are_narrowed(call, login, staff, query, count):
    tell(call, MESSAGE, LATER)
    assert len(login(staff).get(f"/api/v1/{query}").json()["results"]) == count


@pytest.mark.parametrize("query", ["taken-messages/?open=maybe", "call-backs/?state=asleep"])
def test_a_filter_that_is_none_is_refused(call, login, staff, query):
    assert login(staff).get(f"/api/v1/{query}").status_code == 400


def test_a_call_comes_with_what_was_kept_in_it(call, login, staff):
    tell(call, MESSAGE, LATER)
    found = login(staff).get(f"/api/v1/calls/{call.public_id}/").json()
    assert found["taken_messages"][0]["text"] == MESSAGE.text
    assert found["call_backs"][0]["due_at"] == "2026-11-23T23:00:00Z"


# --- on pages -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "title", "time"),
    [("es", "Devoluciones de llamada", "23/11/2026"), ("en", "Call-backs", "11/23/2026")],
)
def test_pages_show_messages_and_call_backs(call, login, staff, language, title, time):
    tell(call, MESSAGE, LATER)
    client = login(staff)
    for address in (reverse("dashboard:home"), reverse("dashboard:call", args=[call.public_id])):
        page = client.get(address, headers={"accept-language": language}).content.decode()
        for text in (title, time, "America/Mexico_City", MESSAGE.text, "el reembolso"):
            assert text in page


def test_home_shows_what_is_still_to_be_done(call, login, staff):
    tell(call, MESSAGE, LATER)
    with tenant_transaction(call.tenant_id):
        message_settle(message=TakenMessage.objects.get(), actor=staff)
    page = login(staff).get(reverse("dashboard:home")).content.decode()
    assert MESSAGE.text not in page
    assert "el reembolso" in page


def test_pages_of_a_call_without_any_say_nothing_of_them(call, login, staff):
    page = login(staff).get(reverse("dashboard:call", args=[call.public_id])).content.decode()
    assert "messages-title" not in page
    assert "call-backs-title" not in page


@pytest.mark.parametrize(
    ("model", "action", "field"),
    [
        (TakenMessage, "mark_handled", "handled_at"),
        (CallBack, "mark_done", "settled_at"),
        (CallBack, "cancel", "settled_at"),
    ],
)
def test_operators_mark_what_was_dealt_with(call, login, operator, model, action, field):
    tell(call, MESSAGE, LATER)
    client = login(operator)
    client.post(reverse("operator_tenant"), {"tenant": str(call.tenant.public_id), "next": "/"})
    address = reverse(f"admin:calls_{model._meta.model_name}_changelist")
    (row,) = kept(call, model)
    chosen = {"action": action, "_selected_action": [row.pk]}
    page = client.post(address, chosen, follow=True)
    assert "1 was marked." in page.content.decode()
    (after,) = kept(call, model)
    assert getattr(after, field) is not None
    page = client.post(address, chosen, follow=True)
    assert "0 were marked." in page.content.decode()


def test_the_open_messages_are_a_filter_of_the_back_office(call, login, operator):
    tell(call, MESSAGE, TakeMessage("Otra."))
    with tenant_transaction(call.tenant_id):
        message_settle(message=TakenMessage.objects.get(sequence=0), actor=operator)
    client = login(operator)
    client.post(reverse("operator_tenant"), {"tenant": str(call.tenant.public_id), "next": "/"})
    address = reverse("admin:calls_takenmessage_changelist")
    assert MESSAGE.text in client.get(address).content.decode()
    open_ones = client.get(f"{address}?open=yes").content.decode()
    assert "Otra." in open_ones
    assert MESSAGE.text not in open_ones
