"""Calls that are asked for and not placed: in the call log all the same, with the reason."""

from __future__ import annotations

from datetime import time

import pytest
from django.urls import reverse

from agents.models import Agent
from calls.models import Call, DoNotCall, Leg, Number, OutboundSettings
from calls.selectors.callers import caller_of
from tenants.db import tenant_transaction
from tenants.models import AuditEntry
from tests.calls.asking import CALLS, NOON, NOWHERE, SOMEBODY, SOMEBODY_ELSE, count
from tests.calls.asking import ask as ask
from tests.calls.asking import at as at
from tests.calls.asking import line as line
from tests.calls.asking import sent as sent
from tests.calls.conftest import Desk
from tests.rows import make_row

pytestmark = pytest.mark.django_db


def refused(desk: Desk) -> list[tuple[str, str, str]]:
    with tenant_transaction(desk.tenant.id):
        assert not Leg.objects.filter(call__state="ended").exists()
        return [
            (call.end_reason, call.from_number, call.to_number)
            for call in Call.objects.filter(state="ended", direction="outbound").order_by("pk")
        ]


def forbid(number: str) -> None:
    DoNotCall.objects.create(number=number)


def close_the_window(_number: str) -> None:
    OutboundSettings.objects.create(window_opens=time(3), window_closes=time(4))


def give_the_numbers_to_another(_number: str) -> None:
    Number.objects.update(agent=make_row(Agent))


def switch_the_agent_off(_number: str) -> None:
    Agent.objects.update(is_active=False)


def leave_all_as_it_is(_number: str) -> None:
    pass


@pytest.mark.parametrize(
    ("prepare", "to_number", "code", "reason", "shown"),
    [
        (forbid, SOMEBODY, "do_not_call", "do_not_call", True),
        (close_the_window, SOMEBODY, "outside_hours", "outside_hours", True),
        (give_the_numbers_to_another, SOMEBODY, "no_caller_number", "no_caller_number", False),
        (switch_the_agent_off, SOMEBODY, "not_published", "refused_no_agent", True),
        (leave_all_as_it_is, NOWHERE, "invalid_number", "invalid_number", True),
    ],
)
def test_a_refused_call_is_in_the_log_with_its_reason_and_the_key_gives_the_same_answer(
    ask, line, prepare, to_number, code, reason, shown
):
    with tenant_transaction(line.tenant.id):
        prepare(to_number)
    answer = ask(key="order-17", to_number=to_number)
    again = ask(key="order-17", to_number=to_number)
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert (again.status_code, again.json()) == (409, answer.json())
    assert refused(line) == [(reason, line.number if shown else "", to_number)]
    with tenant_transaction(line.tenant.id):
        call = Call.objects.get(public_id=answer.json()["call"])
        assert call.ended_at == call.started_at
        assert AuditEntry.objects.filter(action="call.refused").count() == 1


def test_a_refused_call_is_shown_by_the_api(ask, line, client, make_api_key):
    with tenant_transaction(line.tenant.id):
        forbid(SOMEBODY)
    told = ask(context={"name": "Ana"}).json()
    bearer = {"authorization": f"Bearer {make_api_key(line.tenant, ['calls.view'])}"}
    found = client.get(f"{CALLS}{told['call']}/", headers=bearer).json()
    assert (found["state"], found["end_reason"]) == ("ended", "do_not_call")
    assert (found["direction"], found["context"]) == ("outbound", {"name": "Ana"})


def test_whom_we_never_called_is_nobody_that_we_know(ask, line):
    with tenant_transaction(line.tenant.id):
        forbid(SOMEBODY)
    ask()
    with tenant_transaction(line.tenant.id):
        assert caller_of([SOMEBODY]) is None
        DoNotCall.objects.all().delete()
    placed = ask().json()
    with tenant_transaction(line.tenant.id):
        found = caller_of([SOMEBODY])
        assert found is not None
        assert str(found.latest.public_id) == placed["id"]


def test_a_call_that_no_number_could_place_has_its_page(ask, line, login, owner, office):
    with tenant_transaction(line.tenant.id):
        give_the_numbers_to_another("")
    told = ask().json()
    with tenant_transaction(line.tenant.id):
        call = Call.objects.get(public_id=told["call"])
    page = office.get(reverse("admin:calls_call_change", args=[call.pk])).content.decode()
    assert "there was no number to call from" in page
    client = login(owner)
    for address in (reverse("dashboard:home"), reverse("dashboard:call", args=[call.public_id])):
        assert client.get(address).status_code == 200


def test_a_key_that_found_all_lines_busy_is_good_for_another_try(ask, line):
    with tenant_transaction(line.tenant.id):
        OutboundSettings.objects.create(max_at_once=1)
    ask()
    first, second = (ask(key="order-17", to_number=SOMEBODY_ELSE) for _ in range(2))
    assert (first.status_code, second.status_code) == (429, 429)
    assert first.json()["call"] == second.json()["call"]
    with tenant_transaction(line.tenant.id):
        Call.objects.filter(state="ringing").update(state="ended", ended_at=NOON, end_reason="busy")
    placed = ask(key="order-17", to_number=SOMEBODY_ELSE)
    assert placed.status_code == 201
    again = ask(key="order-17", to_number=SOMEBODY_ELSE)
    assert (again.status_code, again.json()["id"]) == (200, placed.json()["id"])


def test_what_the_agent_is_told_belongs_to_the_content_of_a_key(ask, line):
    assert ask(key="order-17", context={"name": "Ana"}).status_code == 201
    assert ask(key="order-17", context={"name": "Ana"}).status_code == 200
    assert ask(key="order-17", context={"name": "Eva"}).status_code == 409


@pytest.mark.parametrize(
    "context",
    [
        "Ana",
        ["Ana"],
        {"name": {"first": "Ana"}},
        {"n" * 61: "Ana"},
        {"name": "A" * 401},
        {"na\x00me": "Ana"},
        {"": "Ana"},
        {str(place): "x" for place in range(21)},
    ],
)
def test_a_context_that_an_agent_cannot_be_told_is_refused(ask, line, context):
    answer = ask(context=context)
    assert (answer.status_code, list(answer.json())) == (400, ["context"])
    assert count(line) == (0, 0, 0)


@pytest.mark.parametrize("context", [{"\ud800": "Ana"}, {"name": "\ud800"}])
def test_half_a_character_is_no_json(ask, line, context):
    assert ask(context=context).status_code == 400
    assert count(line) == (0, 0, 0)
