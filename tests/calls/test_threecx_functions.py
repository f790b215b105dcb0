"""Calls that we place at a 3CX, and callers handed to its people: from the mind to the PBX."""

from __future__ import annotations

import asyncio

import pytest
from django.utils import timezone

from agents.brain.events import Transfer
from calls.models import Call, CarrierEvent, Command, Leg, Utterance
from calls.providers.carriers.threecx import briefing
from calls.services.lines import HANDED_OVER_BY, PLACED_BY, lines_sweep
from calls.trunks import voice
from tenants.db import run_in_tenant
from tests.calls.acting import CUSTOMER, minded
from tests.calls.conftest import staff_desk
from tests.calls.phone import QUICK, Reader, on_a_script
from tests.calls.threecx_line import threecx_line
from tests.calls.waiting import until
from tests.peers.threecx import Telephone

pytestmark = pytest.mark.django_db(transaction=True)

SALES = "200"  # an extension
PROFILE = {
    "transcriber": {"provider": "embedded", "languages": ["es-MX"], "turns": QUICK},
    "functions": {"transfer_targets": [{"name": "Ventas", "number": SALES}]},
}


@pytest.fixture
def mind(monkeypatch, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    on_a_script(monkeypatch, voice=lambda rate: Reader(rate, word_ms=5))
    monkeypatch.setattr(voice, "build_synthesisers", lambda **_wishes: [Reader(voice.SAMPLE_RATE)])
    monkeypatch.setattr(briefing, "LOOK_SECONDS", 0.02)
    return minded(monkeypatch)


@pytest.fixture
def desk(tenant):
    return staff_desk(tenant, "+525512340001", greeting="Hola.", only="threecx", **PROFILE)


@pytest.fixture
async def line(desk, mind, quiet, monkeypatch):
    async with threecx_line(desk, quiet, monkeypatch) as threecx:
        yield threecx


# --- calls that we place -----------------------------------------------------------------


async def called(line, number=CUSTOMER):
    """The party at the PBX that we called at this number, once there is one."""
    parties = line.pbx.own.parties
    return await until(
        lambda: next((p for p in parties.values() if p.began_here and p.number == number), None)
    )


async def test_customer_who_picks_up_talks_with_the_agent_until_they_hang_up(line):
    await line.place(CUSTOMER, account=line.account)
    party = await called(line)
    await until(lambda: party.played.stretches)
    await until(lambda: line.rows(Utterance, role="agent"))
    call = await line.call(state="live")
    (leg,) = await line.rows(Leg)
    assert leg.carrier_id == call.carrier_id
    assert leg.carrier_id.startswith(f"{party.id}.{party.call}.")
    line.pbx.leave(party)
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"
    await until(lambda: line.rows(Leg, state="ended", cause="completed"))
    assert [(row.kind, row.state) for row in await line.rows(Command)] == [("place", "done")]


@pytest.mark.parametrize(
    ("telephone", "reason"),
    [
        (Telephone(reason="PhoneBusy"), "busy"),
        (Telephone(reason="NoAnswer"), "no_answer"),
        (Telephone(reason="NoDestinations"), "unknown_number"),
        (Telephone(picks_up_after=60), "no_answer"),
    ],
    ids=["busy", "no answer", "unknown", "rings out"],
)
async def test_customer_who_is_not_reached_is_in_the_call_log_with_the_reason(
    line, telephone, reason
):
    line.pbx.telephones[CUSTOMER] = telephone
    await line.place(CUSTOMER, account=line.account)
    if telephone.picks_up_after > 1:  # it rings and rings, and the PBX gives up
        await until(lambda: line.rows(Leg, state="ringing"))
        line.pbx.leave(await called(line))
    call = await line.call(state="ended")
    assert (call.end_reason, call.answered_at) == (reason, None)
    await until(lambda: line.rows(Leg, state="ended", cause=reason))
    assert line.pbx.own.parties == {}


async def test_call_whose_order_was_never_answered_is_found_again_and_rings_once(line):
    line.pbx.faults.late.append(("/makecall", 500))
    await line.place(CUSTOMER, account=line.account)
    party = await called(line)
    await until(lambda: party.played.stretches)
    call = await line.call(state="live")
    (order,) = await line.rows(Command)
    assert call.carrier_id == f"{party.id}.{party.call}.{order.public_id.hex[:8]}"
    assert len(line.pbx.own.parties) == 1
    line.pbx.leave(party)
    await line.call(state="ended")


async def test_call_that_was_given_up_and_rings_after_all_is_hung_up(line):
    line.pbx.faults.statuses.append(("/makecall", 500))
    await line.place(CUSTOMER, account=line.account)
    await until(lambda: line.rows(Command, kind="place", state="unknown"))
    late = timezone.now() + 2 * PLACED_BY
    assert await run_in_tenant(line.desk.tenant.id, lines_sweep, now=late) == 1
    assert (await line.call(state="ended")).end_reason == "failed"
    party = line.pbx._enter(line.pbx.own, "Dialing", number=CUSTOMER, began_here=True)
    await asyncio.wait_for(party.left.wait(), 10)
    await until(lambda: line.rows(Leg, state="ended"))
    assert not party.connected.is_set()


# --- callers who want a person -----------------------------------------------------------


async def asks_for_sales(line, mind, *, warm):
    """A caller is greeted, presses a key, and the agent hands them to the extension."""
    mind(Transfer("Ventas", warm=warm, briefing="Un reembolso."))
    party = await line.dialled()
    await until(lambda: line.rows(Utterance, role="agent"))
    line.pbx.press(party, "1#")
    return party


def pressing(line, key):
    """Whoever is at the extension presses this key once they hear us."""

    def arrived(party):
        if party.number == SALES:
            party.on_sound = lambda _pcm: line.pbx.press(party, key)

    line.pbx.on_party = arrived


async def events(line):
    return [row.kind for row in await line.rows(CarrierEvent)]


async def test_caller_is_put_through_to_an_extension_of_the_agents_settings(line, mind):
    party = await asks_for_sales(line, mind, warm=False)
    await asyncio.wait_for(party.left.wait(), 10)
    call = await line.call(state="ended")
    assert (party.routed_to, call.end_reason, call.transfer_to) == (SALES, "transferred", SALES)


async def test_caller_whom_a_briefed_person_takes_is_put_through(line, mind):
    pressing(line, "1")
    party = await asks_for_sales(line, mind, warm=True)
    await asyncio.wait_for(party.left.wait(), 10)
    assert party.routed_to == SALES
    assert (await line.call(state="ended")).end_reason == "transferred"
    await until(lambda: line.rows(Leg, state="ended"))
    assert await events(line) == ["ringing", "answered", "bridged", "handover_ended", "ended"]
    assert len(await line.rows(Call)) == 1


@pytest.mark.parametrize("telephone", [Telephone(), Telephone(reason="PhoneBusy")])
async def test_caller_whom_a_briefed_person_refuses_is_back_with_the_agent(line, mind, telephone):
    line.pbx.telephones[SALES] = telephone
    pressing(line, "2")
    party = await asks_for_sales(line, mind, warm=True)
    await line.call(state="live", streams=2, media_lost_at=None)
    await until(lambda: line.rows(Utterance, text__contains="no contesta nadie"))
    assert (party.routed_to, await line.rows(Command, kind="hand_over", state="done")) != ("", [])
    line.pbx.leave(party)
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"


async def test_caller_who_waits_for_a_long_briefing_is_not_taken_for_a_forgotten_line(line, mind):
    line.pbx.telephones[SALES] = Telephone(picks_up_after=60)
    party = await asks_for_sales(line, mind, warm=True)
    call = await line.call(state="ended")
    await until(lambda: line.rows(Command, kind="hand_over", state="sending"))
    late = call.ended_at + 2 * HANDED_OVER_BY
    assert await run_in_tenant(line.desk.tenant.id, lines_sweep, now=late) == 0
    sales = await called(line, SALES)
    line.pbx.leave(party)
    await asyncio.wait_for(sales.left.wait(), 10)  # nobody rings on for who has left
    await until(lambda: line.rows(Leg, state="ended"))
    assert (await line.call(state="ended")).end_reason == "transferred"
