"""Placing calls: once per key, by the clock of the called one, never to who said no."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.db import connection
from django.urls import reverse

from agents.models import Agent
from calls.carriers import dispatch, outbox
from calls.errors import TooManyAtOnce
from calls.models import Call, Command, DoNotCall, Leg, Number, OutboundSettings
from calls.providers.carriers.port import MachineDetection
from calls.providers.carriers.signals import Answered, EndCause, Ended, Ringing
from calls.services import orders
from calls.services.legs import leg_follow
from calls.services.outbound import Wanted, call_place
from tenants.db import tenant_transaction
from tenants.models import AuditEntry
from tests.calls.asking import CALLS, MADRID_AND_CANARIES, NOON, SOMEBODY, SOMEBODY_ELSE, count
from tests.calls.asking import ask as ask
from tests.calls.asking import at as at
from tests.calls.asking import line as line
from tests.calls.asking import sent as sent
from tests.calls.carrier_line import POST
from tests.rows import make_row

pytestmark = pytest.mark.django_db

# --- over HTTP ----------------------------------------------------------------------------


def test_a_call_is_placed_with_its_leg_and_its_order(
    ask, line, sent, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        answer = ask(to_number="+52 55 9876 5432")
    assert answer.status_code == 201, answer.content
    told = answer.json()
    assert (told["direction"], told["state"], told["channel"]) == ("outbound", "ringing", "telnyx")
    assert (told["from_number"], told["to_number"]) == (line.number, SOMEBODY)
    with tenant_transaction(line.tenant.id):
        call = Call.objects.get(public_id=told["id"])
        leg, order = call.legs.get(), Command.objects.get()
        assert (leg.direction, leg.state, leg.carrier) == ("outbound", "dialling", "telnyx")
        assert (order.leg, order.kind, order.state) == (leg, "place", "pending")
        assert order.arguments["call"] == told["id"]
        assert order.arguments["to_number"] == SOMEBODY
        assert order.arguments["detect"] == "at_once"
        assert order.arguments["verdict_first"] is False
        assert AuditEntry.objects.get(action="call.placed").target_id == told["id"]
    assert sent == [order.pk]


def test_the_same_key_asked_twice_gives_the_same_call_once(ask, line, sent):
    first, again = ask(key="order-17"), ask(key="order-17")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert count(line) == (1, 1, 1)


def test_the_same_key_with_other_content_is_a_conflict(ask, line):
    ask(key="order-17")
    for other in ({"to_number": SOMEBODY_ELSE}, {"language": "en"}):
        answer = ask(key="order-17", **other)
        assert answer.status_code == 409
        assert answer.json()["code"] == "idempotency_conflict"
    assert count(line) == (1, 1, 1)


def test_the_same_number_written_otherwise_is_the_same_content(ask, line):
    assert ask(key="order-17", to_number=SOMEBODY).status_code == 201
    assert ask(key="order-17", to_number="+52 (55) 9876-5432").status_code == 200


def test_another_tenant_has_keys_of_its_own(ask, line, other_desk, make_api_key):
    with tenant_transaction(other_desk.tenant.id):
        Number.objects.update(carrier="telnyx")
    theirs = make_api_key(other_desk.tenant, ["calls.control"])
    mine = ask(key="order-17").json()["id"]
    answer = ask(key="order-17", bearer=theirs, agent=str(other_desk.agent.public_id))
    assert answer.status_code == 201
    assert answer.json()["id"] != mine


def test_without_a_key_two_requests_are_two_calls(ask, line):
    assert ask().json()["id"] != ask().json()["id"]


@pytest.mark.parametrize("key", [" ", "k" * 201])
def test_a_key_that_is_none_is_refused(ask, line, key):
    assert ask(key=key).status_code == 400
    assert count(line) == (0, 0, 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("to_number", "5598765432"),  # no country
        ("to_number", "+52551"),  # too short
        ("to_number", "+34555010001"),  # that nobody in Spain can have
        ("to_number", "+525598765432\u0000"),
        ("to_number", "+19005550101"),  # premium rate
        ("to_number", "+34 807 123 456"),
        ("to_number", "+881612345678"),  # a satellite telephone
        ("to_number", "sip:me@example.com"),
        ("to_number", None),
        ("agent", str(uuid.UUID(int=0))),
        ("agent", "andrea"),
        ("from_number", "+525512349999"),  # nobody's
        ("from_number", "me"),
        ("language", "Spanish please"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_at_its_field(ask, line, field, value):
    answer = ask(**{field: value})
    assert answer.status_code == 400
    assert isinstance(answer.json()[field], list)
    assert count(line) == (0, 0, 0)


def test_why_a_call_is_refused_is_told_in_the_askers_language(ask, client, line):
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "es"
    told = ask(from_number="+525512349999").json()
    assert told == {"from_number": ["+525512349999 no es un número activo suyo."]}


@pytest.mark.parametrize(
    "body", [b"[" * 5000, b'{"to_number": "\\ud800"}', b'{"agent": NaN}', b"\xff", b"{", b"", b"7"]
)
def test_a_body_that_is_no_json_object_is_refused(client, line, make_api_key, body):
    headers = {"authorization": f"Bearer {make_api_key(line.tenant, ['calls.control'])}"}
    answer = client.post("/api/v1/calls/", body, content_type="application/json", headers=headers)
    assert answer.status_code == 400
    assert count(line) == (0, 0, 0)


def test_another_tenants_agent_and_number_cannot_be_used(ask, line, other_desk):
    for theirs in (
        {"agent": str(other_desk.agent.public_id)},
        {"from_number": other_desk.number},
    ):
        assert ask(**theirs).status_code == 400
    assert count(line) == (0, 0, 0)


def test_a_key_without_the_scope_places_nothing(ask, line, make_api_key):
    assert ask(bearer=make_api_key(line.tenant, ["calls.view"])).status_code == 403
    assert count(line) == (0, 0, 0)


def test_who_may_only_look_places_nothing(client, login, line, make_member):
    analyst = make_member(line.tenant, "analyst")
    asked = {"to_number": SOMEBODY, "agent": str(line.agent.public_id)}
    assert login(analyst).post(CALLS, asked).status_code == 403
    assert count(line) == (0, 0, 0)


def test_a_number_on_the_list_is_never_called(ask, line):
    with tenant_transaction(line.tenant.id):
        DoNotCall.objects.create(number=SOMEBODY)
    answer = ask()
    assert (answer.status_code, answer.json()["code"]) == (409, "do_not_call")
    assert count(line) == (1, 0, 0)
    assert ask(to_number=SOMEBODY_ELSE).status_code == 201


def test_another_tenants_list_says_nothing_to_us(ask, line, other_tenant):
    with tenant_transaction(other_tenant.id):
        DoNotCall.objects.create(number=SOMEBODY)
    assert ask().status_code == 201


@pytest.mark.parametrize(
    ("now", "number", "status"),
    [
        (datetime(2026, 11, 23, 14, 59, 59, tzinfo=UTC), SOMEBODY, 409),  # 08:59:59 there
        (datetime(2026, 11, 23, 15, 0, tzinfo=UTC), SOMEBODY, 201),
        (datetime(2026, 11, 24, 1, 59, 59, tzinfo=UTC), SOMEBODY, 201),  # 19:59:59
        (datetime(2026, 11, 24, 2, 0, tzinfo=UTC), SOMEBODY, 409),
        # Spain's mobiles ring in Madrid or in the Canaries, an hour behind.
        (datetime(2026, 11, 23, 8, 30, tzinfo=UTC), MADRID_AND_CANARIES, 409),  # 09:30, 08:30
        (datetime(2026, 11, 23, 9, 0, tzinfo=UTC), MADRID_AND_CANARIES, 201),
        (datetime(2026, 11, 23, 19, 30, tzinfo=UTC), MADRID_AND_CANARIES, 409),  # 20:30, 19:30
        (datetime(2026, 7, 23, 8, 0, tzinfo=UTC), MADRID_AND_CANARIES, 201),  # 10:00, 09:00
    ],
)
def test_people_are_called_in_the_daytime_of_every_zone_they_may_be_in(
    ask, at, now, number, status
):
    at(now)
    answer = ask(to_number=number)
    assert answer.status_code == status, answer.content
    if status == 409:
        told = answer.json()
        assert told["code"] == "outside_hours"
        assert datetime.fromisoformat(told["retry_at"]) > now


def test_the_window_is_the_tenants(ask, line, at):
    with tenant_transaction(line.tenant.id):
        OutboundSettings.objects.create(window_opens=time(12), window_closes=time(13))
    assert ask().status_code == 201
    at(datetime(2026, 11, 23, 19, tzinfo=UTC))
    assert ask().status_code == 409


def test_no_more_calls_are_placed_than_may_be_on_the_line(ask, line):
    with tenant_transaction(line.tenant.id):
        OutboundSettings.objects.create(max_at_once=2)
    assert [ask().status_code for _ in range(3)] == [201, 201, 429]
    with tenant_transaction(line.tenant.id):
        first = Call.objects.filter(state="ringing").first()
        Call.objects.filter(pk=first.pk).update(state="ended", ended_at=NOON, end_reason="busy")
    answer = ask()
    assert answer.status_code == 201
    refused = ask()
    assert (refused.json()["code"], refused["Retry-After"]) == ("too_many_calls", "10")


def test_who_cannot_talk_or_has_no_line_calls_nobody(ask, line):
    with tenant_transaction(line.tenant.id):
        Number.objects.update(is_active=False)
    assert ask().json()["code"] == "no_caller_number"
    with tenant_transaction(line.tenant.id):
        Number.objects.update(is_active=True)
        Agent.objects.update(is_active=False)
    assert ask().json()["code"] == "not_published"
    assert count(line) == (2, 0, 0)


def test_what_is_too_fast_for_the_carrier_is_told_and_not_logged(ask, line):
    with tenant_transaction(line.tenant.id):
        Number.objects.update(carrier="twilio")
    answers = [ask() for _ in range(5)]
    assert [answer.status_code for answer in answers] == [201] * 3 + [429] * 2
    told = answers[-1]
    assert (told.json()["code"], told["Retry-After"], "call" in told.json()) == (
        "too_fast", "1", False,
    )  # fmt: skip
    assert count(line) == (3, 3, 3)


def test_two_requests_at_the_same_moment_share_the_last_line(
    transactional_db, desk, at, django_db_blocker
):
    """The second one waits for the first, and counts it."""
    with tenant_transaction(desk.tenant.id):
        Number.objects.update(carrier="telnyx")
        OutboundSettings.objects.create(max_at_once=1)
    outcomes: list[str] = []
    together = threading.Barrier(2)

    def place() -> None:
        try:
            with tenant_transaction(desk.tenant.id):
                together.wait(5)
                call_place(wanted=Wanted(SOMEBODY, desk.agent), actor="tests")
            outcomes.append("placed")
        except TooManyAtOnce:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=place) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["placed", "refused"]
    assert count(desk) == (1, 1, 1)


def test_a_process_without_an_event_loop_leaves_an_order_to_a_worker(
    transactional_db, desk, at, monkeypatch
):
    """The whole way to the carrier's door, by the task itself."""
    dialled: list[Any] = []

    class Carrier:
        async def place(self, dial: Any) -> str:
            dialled.append(dial)
            return "v3:leg"

        async def aclose(self) -> None:
            dialled.append("closed")

    async def connected(_account: Any) -> Carrier:
        return Carrier()

    monkeypatch.setattr(outbox, "post", POST)
    monkeypatch.setattr(outbox, "_home", None)
    monkeypatch.setattr(dispatch, "connected", connected)
    monkeypatch.setattr(orders, "PLACE_WITHIN", timedelta(days=3))  # the clock is stopped
    with tenant_transaction(desk.tenant.id):
        Number.objects.update(carrier="telnyx")
        placed = call_place(wanted=Wanted(SOMEBODY, desk.agent), actor="tests")
    (dial,) = dialled
    assert (dial.to_number, dial.from_number) == (SOMEBODY, desk.number)
    assert dial.detect is MachineDetection.AT_ONCE
    assert str(placed.call.public_id) in dial.signals_url
    with tenant_transaction(desk.tenant.id):
        assert Command.objects.get().state == "done"
        assert Leg.objects.get().carrier_id == Call.objects.get().carrier_id == "v3:leg"


# --- how it ends --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (EndCause.BUSY, "busy"),
        (EndCause.NO_ANSWER, "no_answer"),
        (EndCause.REJECTED, "rejected"),
        (EndCause.FAILED, "failed"),
        (EndCause.UNKNOWN_NUMBER, "unknown_number"),
    ],
)
def test_a_call_that_nobody_takes_ends_with_its_reason(ask, line, cause, reason):
    call_id = ask().json()["id"]
    with tenant_transaction(line.tenant.id):
        leg = Leg.objects.get()
        told = {"leg": "v3:1", "at": NOON}
        ringing = Ringing(event_id="1", incoming=False, from_number=line.number,
                          to_number=SOMEBODY, **told)  # fmt: skip
        leg_follow(leg=leg, signals=[ringing, Ended(event_id="2", cause=cause, **told)])
        call = Call.objects.get(public_id=call_id)
        assert (call.state, call.end_reason) == ("ended", reason)


def test_an_answered_call_waits_for_its_sound(ask, line):
    call_id = ask().json()["id"]
    with tenant_transaction(line.tenant.id):
        leg_follow(leg=Leg.objects.get(), signals=[Answered(event_id="1", leg="v3:1", at=NOON)])
        assert Leg.objects.get().state == "answered"
        assert Call.objects.get(public_id=call_id).state != "ended"


# --- in the back office --------------------------------------------------------------------


def test_the_back_office_places_a_call_and_says_why_not(office, line, sent):
    address = reverse("admin:calls_call_place_call")
    assert "+52 55 1234 5678" in office.get(address).content.decode()
    asked = {"to_number": SOMEBODY, "agent": line.agent.pk, "number": ""}
    assert office.post(address, asked).status_code == 302
    assert count(line) == (1, 1, 1)
    with tenant_transaction(line.tenant.id):
        DoNotCall.objects.create(number=SOMEBODY)
    page = office.post(address, asked)
    assert "is on the do-not-call list" in page.content.decode()
    assert count(line) == (2, 1, 1)
    page = office.post(address, {**asked, "to_number": "somebody"})
    assert page.context["form"].errors["to_number"]
    assert count(line) == (2, 1, 1)


def test_the_rules_are_one_row_whose_window_has_length(office, tenant):
    address = reverse("admin:calls_outboundsettings_add")
    rules = {"window_opens": "20:00", "window_closes": "09:00", "max_at_once": "5",
             "dials_call_backs": "on"}  # fmt: skip
    page = office.post(address, rules)
    assert page.status_code == 200
    assert "has to close after it opens" in page.content.decode()
    rules |= {"window_opens": "10:00", "window_closes": "18:00"}
    assert office.post(address, rules).status_code == 302
    assert office.get(address).status_code == 403


def test_the_menus_link_leads_to_the_rules_that_hold_while_nobody_has_changed_them(office, tenant):
    listed = reverse("admin:calls_outboundsettings_changelist")
    empty = office.get(listed, follow=True)
    assert empty.redirect_chain == [(reverse("admin:calls_outboundsettings_add"), 302)]
    assert 'value="09:00' in empty.content.decode()
    with tenant_transaction(tenant.pk):
        make_row(OutboundSettings)
    assert office.get(listed).status_code == 200
