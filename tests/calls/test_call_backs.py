"""Call-backs that agents promised: each is placed when it is due, once, and by whom it should."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.urls import reverse

from agents.models import Agent
from calls import tasks
from calls.line.rows import Closing
from calls.models import (
    Call,
    CallBack,
    CallEvent,
    Command,
    DoNotCall,
    Number,
    OutboundSettings,
)
from calls.services.call_backs import MOST_TRIES, call_back_step, call_backs_underway
from calls.services.calls import call_close
from calls.services.notes import AlreadySettled, call_back_settle
from tenants.db import tenant_transaction
from tenants.models import AuditEntry
from tests.calls.campaigning import NOON
from tests.calls.conftest import Desk
from tests.rows import make_row

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sent")]

CALLER = "+525598765432"
MINUTES = timedelta(minutes=1)


def promise(line: Desk, call: dict[str, Any] | None = None, **fields: Any) -> CallBack:
    """A call in which an agent promised to call back at NOON."""
    with tenant_transaction(line.tenant.id):
        earlier = Call.objects.create(
            agent=line.agent,
            version=line.version,
            **{
                "number": Number.objects.get(e164=line.number),
                "channel": "telnyx",
                "from_number": CALLER,
                "to_number": line.number,
                "language": "es",
                "state": "ended",
                "started_at": NOON - timedelta(hours=2),
                "ended_at": NOON - timedelta(hours=2),
                "end_reason": "caller_hung_up",
                "summary": "Preguntó por: el reembolso.",
                **(call or {}),
            },
        )
        row = {
            "due_at": NOON,
            "time_zone": "America/Mexico_City",
            "number": CALLER,
            "reason": "el reembolso",
            "sequence": 3,
            **fields,
        }
        return CallBack.objects.create(call=earlier, **row)


def step(call_back: CallBack, now: datetime = NOON) -> CallBack:
    """What the clock does at that time, for this one; the row as it is then."""
    with tenant_transaction(call_back.tenant_id):
        if call_back.pk in call_backs_underway(now=now):
            call_back_step(call_back_id=call_back.pk, now=now)
        return CallBack.objects.select_related("placed").get(pk=call_back.pk)


def dialled(line: Desk) -> list[str]:
    with tenant_transaction(line.tenant.id):
        orders = Command.objects.filter(kind="place").order_by("pk")
        return [order.arguments["to_number"] for order in orders]


def end(call_back: CallBack, reason: str, at: datetime = NOON) -> None:
    """The call that was placed for it is over."""
    with tenant_transaction(call_back.tenant_id):
        call = Call.objects.exclude(state="ended").get(direction="outbound")
        if reason in {"caller_hung_up", "media_lost", "voicemail_left", "server_lost"}:
            Call.objects.filter(pk=call.pk).update(state="live", answered_at=at, heartbeat_at=at)
        call_close(call_id=call.pk, closing=Closing(reason, at))


def test_one_that_is_due_is_placed_once_and_the_agent_knows_why(line):
    call_back = promise(line)
    assert step(call_back, NOON - MINUTES).state == "scheduled"
    for _ in range(3):
        found = step(call_back)
    assert dialled(line) == [CALLER]
    assert (found.state, found.tries, found.outcome) == ("calling", 1, "")
    with tenant_transaction(line.tenant.id):
        call = Call.objects.get(pk=found.placed_id)
        assert (call.agent, call.from_number, call.language) == (line.agent, line.number, "es")
        assert call.context == {
            "why you call": "You promised this person to call back, and now you do.",
            "promised in the call of": "Monday, 23 November 2026, 10:00",
            "agreed time": "Monday, 23 November 2026, 12:00",
            "topic": "el reembolso",
            "summary of that call": "Preguntó por: el reembolso.",
            "try": "1 of 3",
        }
        assert call.greeting.startswith("Hola, habla Andrea, asistente virtual de Spirit Tours.")
        assert AuditEntry.objects.get(action="call.placed").actor_label == "call-backs: Andrea"


@pytest.mark.parametrize(
    ("reason", "state", "outcome", "again_after"),
    [
        ("caller_hung_up", "done", "talked", None),
        ("voicemail_left", "done", "voicemail", None),
        ("rejected", "failed", "rejected", None),
        ("unknown_number", "failed", "unknown_number", None),
        ("busy", "scheduled", "busy", 10),
        ("no_answer", "scheduled", "no_answer", 30),
        ("voicemail", "scheduled", "voicemail", 60),
        ("failed", "scheduled", "failed", 5),
        ("media_lost", "scheduled", "broken_off", 2),
    ],
)
def test_how_its_call_ended_decides_on_what_comes_next(line, reason, state, outcome, again_after):
    call_back = promise(line)
    step(call_back)
    end(call_back, reason)
    found = step(call_back, NOON + MINUTES)
    assert (found.state, found.outcome) == (state, outcome)
    assert (found.settled_at is not None) == (state == "done")
    if again_after is None:
        assert step(call_back, NOON + timedelta(hours=5)).tries == 1
    else:
        later = NOON + (1 + again_after) * MINUTES
        assert step(call_back, later - timedelta(seconds=1)).tries == 1
        assert step(call_back, later).tries == 2


def test_tries_are_bounded_and_then_people_take_over(line, staff):
    call_back = promise(line)
    for place in range(MOST_TRIES + 2):
        now = NOON + place * timedelta(hours=1)
        if step(call_back, now).state == "calling":
            end(call_back, "no_answer", now)
            found = step(call_back, now)
    assert dialled(line) == [CALLER] * MOST_TRIES
    assert (found.state, found.outcome, found.settled_at) == ("failed", "no_answer", None)
    with tenant_transaction(line.tenant.id):
        call_back_settle(call_back=found, state=CallBack.State.DONE, actor=staff)
        with pytest.raises(AlreadySettled):
            call_back_settle(call_back=found, state=CallBack.State.DONE, actor=staff)


def test_it_waits_for_the_hours_in_which_people_may_be_called(line):
    late = NOON + timedelta(hours=9)  # 21:00 there
    call_back = promise(line, due_at=late)
    found = step(call_back, late)
    assert (found.state, found.not_before) == ("scheduled", NOON + timedelta(hours=21))
    assert step(call_back, found.not_before - MINUTES).state == "scheduled"
    assert step(call_back, found.not_before).state == "calling"


def test_it_waits_for_a_free_line(line):
    with tenant_transaction(line.tenant.id):
        OutboundSettings.objects.update(max_at_once=1)
    first, second = promise(line), promise(line)
    assert [step(first).state, step(second).state] == ["calling", "scheduled"]
    end(first, "caller_hung_up")
    assert step(second, NOON + MINUTES).state == "calling"


def test_whoever_does_not_want_to_be_called_is_not(line):
    call_back = promise(line)
    with tenant_transaction(line.tenant.id):
        DoNotCall.objects.create(number=CALLER)
    found = step(call_back)
    assert (found.state, found.outcome, dialled(line)) == ("cancelled", "do_not_call", [])
    with tenant_transaction(line.tenant.id):
        assert AuditEntry.objects.get(action="call_back.settle").actor_label == "call-backs"


def test_a_tenant_may_keep_them_for_people(line):
    underway, kept = promise(line), promise(line)
    step(underway)
    end(underway, "caller_hung_up")
    with tenant_transaction(line.tenant.id):
        OutboundSettings.objects.update(dials_call_backs=False)
    late = NOON + timedelta(hours=24)
    assert (step(kept, late).state, step(underway).state) == ("scheduled", "done")
    assert len(dialled(line)) == 1


def test_one_that_is_overdue_by_a_day_is_left_to_people(line):
    call_back = promise(line)
    found = step(call_back, NOON + timedelta(hours=24))
    assert (found.state, found.outcome, found.settled_at) == ("failed", "", None)
    assert "24" in found.problem
    assert dialled(line) == []
    with tenant_transaction(line.tenant.id):
        assert AuditEntry.objects.filter(action="call_back.settle").count() == 1
        assert call_backs_underway(now=NOON + timedelta(hours=25)) == []


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        ("", "is no number"),
        ("12", "is no number"),
        ("+52551", "too few"),
        ("+34600000001", "another country"),
        ("+19005550101", "premium"),
    ],
)
def test_a_number_that_is_not_dialled_unseen_is_left_to_people(line, number, problem):
    found = step(promise(line, number=number))
    assert (found.state, found.outcome, dialled(line)) == ("failed", "invalid_number", [])
    assert problem in found.problem


def test_more_than_two_of_one_call_are_left_to_people(line):
    first = promise(line)
    with tenant_transaction(line.tenant.id):
        others = [
            CallBack.objects.create(
                call=first.call,
                due_at=NOON,
                time_zone="America/Mexico_City",
                number=f"+52559876544{sequence}",
                reason="otro",
                sequence=sequence,
            )
            for sequence in (4, 5)
        ]
    states = [step(each).state for each in (first, *others)]
    assert states == ["calling", "calling", "failed"]
    assert dialled(line) == [CALLER, "+525598765444"]


def test_who_talked_on_a_page_is_called_from_the_agents_own_number(line):
    page = {"channel": "browser", "number": None, "from_number": "", "to_number": ""}
    found = step(promise(line, page))
    assert found.placed.from_number == line.number


def test_a_page_has_no_number_called_in_a_country_where_we_are_not(line):
    page = {"channel": "browser", "number": None, "from_number": "", "to_number": ""}
    found = step(promise(line, page, number="+37128912345"))
    assert (found.state, dialled(line)) == ("failed", [])


def test_an_island_is_another_country_though_it_shares_the_callers_code(line):
    found = step(promise(line, {"from_number": "+13055550100"}, number="+18765550123"))
    assert (found.state, dialled(line)) == ("failed", [])
    assert "another country" in found.problem


def test_the_language_is_that_of_the_call_as_far_as_the_agent_speaks_it(line):
    call = step(promise(line, {"language": "en"})).placed
    assert (call.language, call.greeting[:5]) == ("es", "Hola,")


def test_an_agent_that_cannot_call_leaves_it_to_people(line):
    call_back = promise(line)
    with tenant_transaction(line.tenant.id):
        Agent.objects.update(is_active=False)
    found = step(call_back)
    assert (found.state, found.outcome) == ("failed", "failed")
    assert "switched off" in found.problem


def test_who_promised_calls_back_and_not_who_had_the_call_later(line, other_agent):
    call_back = promise(line)
    with tenant_transaction(line.tenant.id):
        Call.objects.filter(pk=call_back.call_id).update(agent=other_agent)
        for sequence, before in ((2, "nobody"), (5, line.agent.slug), (7, "nobody")):
            CallEvent.objects.create(
                call=call_back.call,
                sequence=sequence,
                at_ms=1.0,
                name="handed_over",
                data={"from": before, "to": "x"},
            )
    assert step(call_back).placed.agent_id == line.agent.pk


@pytest.fixture
def other_agent(line):
    with tenant_transaction(line.tenant.id):
        return make_row(Agent)


# --- once ---------------------------------------------------------------------------------


class Killed(Exception):
    """The worker's end."""


def test_a_worker_that_dies_has_called_nobody_and_another_calls_once(line):
    call_back = promise(line)
    with pytest.raises(Killed), tenant_transaction(line.tenant.id):
        call_back_step(call_back_id=call_back.pk, now=NOON)
        raise Killed
    assert dialled(line) == []
    assert step(call_back).state == "calling"
    assert dialled(line) == [CALLER]


def test_a_call_that_was_taken_for_lost_and_is_not_is_not_followed_by_another(line):
    call_back = promise(line)
    step(call_back)
    end(call_back, "server_lost")
    assert step(call_back, NOON + MINUTES).outcome == "broken_off"
    with tenant_transaction(line.tenant.id):
        Call.objects.filter(direction="outbound").update(
            state="live", ended_at=None, end_reason="", heartbeat_at=NOON
        )
    assert step(call_back, NOON + 10 * MINUTES).state == "calling"
    end(call_back, "caller_hung_up")
    assert step(call_back, NOON + 11 * MINUTES).state == "done"
    assert dialled(line) == [CALLER]


def test_one_whose_lost_call_went_well_after_all_is_done(line):
    call_back = promise(line)
    step(call_back)
    end(call_back, "server_lost")
    step(call_back, NOON + MINUTES)
    with tenant_transaction(line.tenant.id):
        Call.objects.filter(direction="outbound").update(end_reason="caller_hung_up")
    assert step(call_back, NOON + 10 * MINUTES).state == "done"
    assert dialled(line) == [CALLER]


def test_workers_at_the_same_moment_call_once(transactional_db, desk):
    with tenant_transaction(desk.tenant.id):
        Number.objects.update(carrier="telnyx")
    call_back = promise(desk)
    together = threading.Barrier(3)

    def work() -> None:
        try:
            together.wait(5)
            with tenant_transaction(desk.tenant.id):
                call_back_step(call_back_id=call_back.pk, now=NOON)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dialled(desk) == [CALLER]


def test_people_cannot_settle_one_that_is_on_the_line(line, staff):
    found = step(promise(line))
    with tenant_transaction(line.tenant.id), pytest.raises(AlreadySettled):
        call_back_settle(call_back=found, state=CallBack.State.CANCELLED, actor=staff)


def test_one_that_people_settled_is_not_called(line, staff):
    call_back = promise(line)
    with tenant_transaction(line.tenant.id):
        call_back_settle(call_back=call_back, state=CallBack.State.CANCELLED, actor=staff)
        call_back_step(call_back_id=call_back.pk, now=NOON)
    assert dialled(line) == []


def test_every_tenants_due_ones_are_asked_for_and_nobody_elses(line, other_desk, monkeypatch):
    call_back = promise(line)
    with tenant_transaction(other_desk.tenant.id):
        assert call_backs_underway(now=NOON) == []
        call_back_step(call_back_id=call_back.pk, now=NOON)
    assert dialled(line) == []
    asked: list[Any] = []
    monkeypatch.setattr(tasks.run_call_back, "delay", lambda *ids: asked.append(ids))
    monkeypatch.setattr(tasks.timezone, "now", lambda: NOON)
    monkeypatch.setattr(tasks, "_platform_is_open", lambda: False)
    tasks.run_call_backs()
    assert asked == []
    monkeypatch.setattr(tasks, "_platform_is_open", lambda: True)
    tasks.run_call_backs()
    assert asked == [(line.tenant.id, call_back.pk)]


# --- shown --------------------------------------------------------------------------------


def test_what_became_of_it_is_shown(line, login, staff):
    found = step(promise(line))
    told = login(staff).get(f"/api/v1/call-backs/{found.public_id}/").json()
    assert (told["state"], told["tries"], told["placed"]) == (
        "calling", 1, str(found.placed.public_id),
    )  # fmt: skip
    end(found, "rejected")
    step(found)
    told = login(staff).get("/api/v1/call-backs/?state=failed").json()["results"]
    assert [each["outcome"] for each in told] == ["rejected"]
    page = login(staff).get(reverse("dashboard:home"), headers={"accept-language": "en"})
    assert "Not reached" in page.content.decode()
    assert "Rejected" in page.content.decode()


def test_the_back_office_shows_what_became_of_it(line, office):
    found = step(promise(line))
    end(found, "no_answer")
    step(found)
    page = office.get(reverse("admin:calls_callback_changelist")).content.decode()
    assert "No answer" in page
    page = office.get(reverse("admin:calls_callback_change", args=[found.pk])).content.decode()
    assert reverse("admin:calls_call_change", args=[found.placed_id]) in page
    page = office.get(reverse("admin:calls_call_change", args=[found.placed_id]))
    assert "el reembolso" in page.content.decode()
