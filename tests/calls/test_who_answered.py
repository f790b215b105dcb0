"""Calls that are connected only once it is known who answered, from the order to the last row."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from calls.models import Call, Command, Leg, Utterance
from calls.providers.carriers.port import MachineDetection
from calls.services.lines import lines_sweep
from tenants.db import run_unscoped, tenant_transaction
from tests.calls.conftest import staff_desk
from tests.calls.phone import QUICK, on_a_script
from tests.calls.telnyx_line import telnyx_line
from tests.calls.twilio_line import twilio_line
from tests.calls.waiting import until
from tests.rows import make_row

pytestmark = pytest.mark.django_db(transaction=True)

CUSTOMER = "+525598765432"


@pytest.fixture(params=[telnyx_line, twilio_line], ids=["telnyx", "twilio"])
async def place(request, tenant, quiet, settings, monkeypatch, tmp_path):
    """Have an agent that waits for the verdict call the customer, who may be a machine."""
    settings.MEDIA_ROOT = tmp_path
    on_a_script(monkeypatch)
    advanced = {"verdict_first": True, "voicemail": "hang_up"}
    transcriber = {"provider": "embedded", "languages": ["es-MX"], "turns": QUICK}
    desk = await run_unscoped(
        staff_desk, tenant, "+525512340001", transcriber=transcriber, advanced=advanced
    )
    async with request.param(desk, quiet, settings, monkeypatch) as line:

        async def placed(*, machine):
            line.cloud.people[CUSTOMER] = line.machine if machine else line.person()
            await line.place(CUSTOMER)
            return line

        yield placed


async def test_person_is_connected_once_they_are_known_to_be_one(place):
    line = await place(machine=False)
    await until(lambda: line.rows(Utterance, role="agent"))
    (row,) = await line.rows(Leg)
    assert row.picked_up == "human"
    (order,) = await line.rows(Command, kind="place")
    assert order.arguments["verdict_first"] is True
    assert order.arguments["detect"] == MachineDetection.AT_ONCE
    (leg,) = line.cloud.legs.values()
    await line.hang_up(leg)
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"


async def test_machine_hears_nothing(place):
    line = await place(machine=True)
    assert (await line.call(state="ended")).end_reason == "voicemail"
    (leg,) = line.cloud.legs.values()
    assert leg.stream is None
    assert await line.rows(Utterance) == []


@pytest.mark.parametrize(
    ("answered", "told", "ended"),
    [(20, None, False), (70, None, True), (30, 2, False), (30, 15, True)],
)
def test_line_is_silent_only_once_it_should_be_known_who_answered(tenant, answered, told, ended):
    """Seconds ago; `told` is when the carrier said who it was."""
    now = timezone.now()
    with tenant_transaction(tenant.id):
        call = make_row(Call, state="ringing", channel="telnyx", direction="outbound")
        leg = make_row(
            Leg, call=call, carrier="telnyx", carrier_id="v3:1", state="answered",
            direction="outbound", answered_at=now - timedelta(seconds=answered),
        )  # fmt: skip
        make_row(Command, leg=leg, kind="place", arguments={"verdict_first": True})
        if told is not None:
            moment = now - timedelta(seconds=told)
            Leg.objects.update(picked_up="human", updated_at=moment)
        assert lines_sweep(now=now) == int(ended)
        assert Call.objects.get().state == ("ended" if ended else "ringing")
