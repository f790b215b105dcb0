"""Calls that we place at Telnyx and that come to no conversation: how each of them ends."""

from __future__ import annotations

import pytest
from django.utils import timezone

from calls import tasks
from calls.carriers import dispatch
from calls.models import Call, CallBack, Command, Leg, Number
from tenants.db import run_in_tenant, run_unscoped
from tests.calls.telnyx_line import telnyx_line
from tests.calls.waiting import until
from tests.peers.telnyx import Fault, Person
from tests.rows import make_row

pytestmark = pytest.mark.django_db(transaction=True)

CUSTOMER = "+525598765432"


@pytest.fixture
async def line(desk, quiet, settings, monkeypatch):
    async with telnyx_line(desk, quiet, settings, monkeypatch) as telnyx:
        yield telnyx


async def order(line):
    (row,) = await line.rows(Command)
    return row


def dials(line):
    return [body for path, body in line.cloud.requests if path.endswith("/calls")]


@pytest.mark.parametrize(
    ("cause", "reason"),
    [("user_busy", "busy"), ("no_answer", "no_answer"), ("call_rejected", "rejected")],
)
async def test_call_that_nobody_takes_ends_with_its_reason_however_often_it_is_told(
    line, cause, reason
):
    line.cloud.twice = True
    line.cloud.people[CUSTOMER] = Person(hangup_cause=cause)
    await line.place(CUSTOMER)
    call = await line.call(state="ended")
    assert (call.end_reason, call.answered_at) == (reason, None)
    await until(lambda: line.rows(Leg, state="ended", cause=reason))
    await until(lambda: line.rows(Command, state="done"))


async def test_carrier_that_will_not_dial_ends_the_call_as_failed(line):
    line.cloud.faults.append(Fault(status=422, code="10015"))
    await line.place(CUSTOMER)
    call = await line.call(state="ended")
    assert call.end_reason == "failed"
    assert ((await order(line)).state, len(dials(line))) == ("failed", 1)  # and nothing hung up
    (leg,) = await line.rows(Leg)
    assert (leg.state, leg.cause) == ("ended", "failed")


async def test_dial_whose_answer_was_lost_rings_once(line):
    line.cloud.people[CUSTOMER] = Person(hangup_cause="user_busy")
    line.cloud.faults.append(Fault(cut=True, late=True))
    await line.place(CUSTOMER)
    assert (await line.call(state="ended")).end_reason == "busy"
    await until(lambda: line.rows(Command, state="done"))
    assert len({body["command_id"] for body in dials(line)}) == 1
    assert len(line.cloud.legs) == 1


async def test_carrier_that_is_down_for_good_leaves_an_order_that_nobody_repeats(line):
    line.cloud.faults.extend([Fault(status=503)] * 10)
    await line.place(CUSTOMER)
    await until(lambda: line.rows(Command, state="unknown"))
    asked = len(dials(line))
    await dispatch.send(line.desk.tenant.id, (await order(line)).pk)
    assert len(dials(line)) == asked
    assert line.cloud.legs == {}


async def test_promised_call_that_finds_a_busy_line_is_put_off(line):
    """The whole way: from the clock to the carrier, and back to the promise."""
    line.cloud.people[CUSTOMER] = Person(hangup_cause="user_busy")
    tenant_id = line.desk.tenant.id

    def promise():
        Number.objects.filter(e164=line.desk.number).update(carrier="telnyx")
        earlier = make_row(
            Call,
            agent=line.desk.agent,
            version=line.desk.version,
            number=Number.objects.get(e164=line.desk.number),
            from_number=CUSTOMER,
            language="es",
            state="ended",
            ended_at=timezone.now(),
            end_reason="caller_hung_up",
        )
        return make_row(CallBack, call=earlier, number=CUSTOMER, due_at=timezone.now())

    promised = await run_in_tenant(tenant_id, promise)
    await run_unscoped(tasks.run_call_back, tenant_id, promised.pk)
    await until(lambda: line.rows(Call, direction="outbound", end_reason="busy"))
    assert len(dials(line)) == 1
    await run_unscoped(tasks.run_call_back, tenant_id, promised.pk)
    (found,) = await line.rows(CallBack)
    assert (found.state, found.outcome, found.tries) == ("scheduled", "busy", 1)
    assert found.not_before > timezone.now()
    await run_unscoped(tasks.run_call_back, tenant_id, promised.pk)
    assert len(dials(line)) == 1
