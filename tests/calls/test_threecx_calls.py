"""3CX's calls from the first event to the last row, over real HTTP and a real event socket."""

from __future__ import annotations

import asyncio

import pytest
from django.utils import timezone

from calls.line.rows import Closing
from calls.models import (
    Call,
    CarrierAccount,
    CarrierEvent,
    Command,
    Leg,
    RefusedCall,
    Utterance,
)
from calls.providers.carriers.trunk import Extension
from calls.services.calls import call_close
from calls.trunks.shared import extensions_now
from tenants.db import run_in_tenant, run_unscoped
from tests.calls.carrier_line import CALLER
from tests.calls.scripted import desk as desk
from tests.calls.scripted import scripted as scripted
from tests.calls.threecx_line import threecx_line
from tests.calls.waiting import until
from tests.peers.threecx import Telephone

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def line(desk, quiet, monkeypatch):
    async with threecx_line(desk, quiet, monkeypatch) as threecx:
        yield threecx


async def test_caller_is_answered_and_hears_the_greeting(line):
    party = await line.dialled()
    call = await line.call(state="live")
    assert (call.from_number, call.to_number, call.channel) == (
        CALLER,
        line.desk.number,
        "threecx",
    )
    (leg,) = await line.rows(Leg)
    assert (leg.role, leg.direction, leg.account_id) == ("customer", "inbound", line.account.pk)
    assert leg.carrier_id == call.carrier_id
    await until(lambda: line.rows(Utterance, role="agent"))
    line.pbx.leave(party)
    call = await line.call(state="ended")
    assert call.end_reason == "caller_hung_up"
    await until(lambda: line.rows(Leg, state="ended", cause="completed"))
    assert [row.kind for row in await line.rows(CarrierEvent)] == ["ringing", "answered", "ended"]


async def test_agent_that_hangs_up_leaves_the_call_at_the_pbx(line, quiet):
    party = await line.dialled()
    call = await line.call(state="live")
    quiet._calls[call.public_id].end("staff_hung_up")
    await asyncio.wait_for(party.left.wait(), 10)
    assert (await line.call(state="ended")).end_reason == "staff_hung_up"
    await until(lambda: line.rows(Command, kind="hang_up", state="done"))


async def test_keys_reach_the_conversation_and_are_not_kept(line, quiet):
    party = await line.dialled()
    line.pbx.press(party, "4")
    line.pbx.press(party, "2#")
    await until(lambda: line.rows(Utterance, role="caller"))
    assert [row.text for row in await line.rows(Utterance, role="caller")] == ["42"]
    assert {row.kind for row in await line.rows(CarrierEvent)} == {"ringing", "answered"}
    line.pbx.leave(party)
    await line.call(state="ended")


async def test_extension_that_dials_the_route_point_is_answered_as_the_account_says(line):
    def answer_as_the_desk():
        number = line.desk.agent.numbers.get()
        CarrierAccount.objects.filter(pk=line.account.pk).update(answers_as=number)

    await run_in_tenant(line.desk.tenant.id, answer_as_the_desk)
    party = await line.dialled(dialled="")
    call = await line.call(state="live")
    assert call.to_number == line.desk.number
    line.pbx.leave(party)
    await line.call(state="ended")


async def test_number_written_without_a_plus_is_found(line):
    party = await line.dialled(dialled="00" + line.desk.number.removeprefix("+"))
    line.pbx.leave(party)
    assert (await line.call(state="ended")).to_number == line.desk.number


async def test_call_to_another_tenants_number_is_turned_away_and_noted(line, other_desk):
    party = line.pbx.ring(CALLER, other_desk.number)
    await asyncio.wait_for(party.left.wait(), 10)
    (refused,) = await run_unscoped(lambda: list(RefusedCall.objects.all()))
    assert (refused.carrier, refused.to_number) == ("threecx", other_desk.number)
    for tenant in (line.desk.tenant, other_desk.tenant):
        assert await run_in_tenant(tenant.id, lambda: list(Call.objects.all())) == []


async def test_caller_for_whom_no_line_is_free_is_turned_away_and_in_the_call_log(line, quiet):
    quiet.limit = 0
    party = line.pbx.ring(CALLER, line.desk.number)
    call = await line.call(state="ended")
    assert (call.end_reason, call.answered_at) == ("refused_busy", None)
    await asyncio.wait_for(party.left.wait(), 10)
    quiet.limit = 400


async def test_doubled_and_shuffled_events_make_one_call(line):
    line.pbx.faults.duplicates, line.pbx.faults.shuffled = True, 2
    party = await line.dialled()
    line.pbx.leave(party)
    await line.call(state="ended")
    await until(lambda: line.rows(Leg, state="ended"))
    assert len(await line.rows(Command, kind="answer")) == 1


# --- what breaks -------------------------------------------------------------------------


async def test_sound_that_breaks_off_is_fetched_again_and_the_call_goes_on(line):
    party = await line.dialled()
    await until(lambda: line.rows(Utterance, role="agent"))
    line.pbx.cut_sound()
    await line.heard_again(party)
    call = await line.call(state="live", streams=2)
    assert call.media_lost_at is None
    line.pbx.leave(party)
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"


async def test_token_that_dies_in_a_call_is_renewed_and_the_call_goes_on(line):
    party = await line.dialled()
    minted = line.pbx.minted
    line.pbx.revoke()
    line.pbx.cut_events()
    await line.heard_again(party)
    assert line.pbx.minted == minted + 1
    line.pbx.leave(party)
    await line.call(state="ended")


async def test_caller_who_left_while_nobody_listened_has_hung_up(line):
    party = await line.dialled()
    line.pbx.cut_events()
    line.pbx.vanish(party)
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"
    await until(lambda: line.rows(Leg, state="ended"))


async def test_callers_of_a_time_without_events_are_answered_or_were_never_there(line):
    line.pbx.cut_events()
    await until(lambda: not line.pbx.listened_to)
    gave_up = line.pbx.ring("+525511112222", line.desk.number)
    line.pbx.leave(gave_up)
    party = await line.dialled()
    assert (await line.call(state="live")).from_number == CALLER
    line.pbx.leave(party)
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"


async def test_pbx_that_stumbles_over_every_first_question_still_has_its_caller_answered(line):
    line.pbx.faults.statuses += [("/participants/17", 503), ("/answer", 500), ("/stream", 502)]
    party = await line.dialled()
    assert line.pbx.faults.statuses == []
    assert len(await line.rows(Command, kind="answer")) == 1
    line.pbx.leave(party)
    await line.call(state="ended")


async def test_pbx_that_restarted_counts_anew_and_its_next_call_is_another_one(line):
    party = await line.dialled()
    line.pbx.leave(party)
    await until(lambda: line.rows(Leg, state="ended"))
    line.pbx.cut_events()
    line.pbx._ids = iter([party.id])
    await until(lambda: not line.pbx.listened_to)
    await until(lambda: line.pbx.listened_to)
    again = line.pbx.ring(CALLER, line.desk.number)
    assert (again.id, again.call) == (party.id, party.call)
    await until(lambda: again.played.stretches)
    first, second = await line.rows(Leg)
    assert first.carrier_id != second.carrier_id
    line.pbx.leave(again)
    await until(lambda: line.rows(Call, state="ended", carrier_id=second.carrier_id))


# --- to a person -------------------------------------------------------------------------


async def test_extensions_are_shown_to_all_processes(line):
    async def shown():
        at = await asyncio.to_thread(extensions_now, "threecx", str(line.account.public_id))
        return at.extensions if at.listening and len(at.extensions) == 3 else None

    found = await until(shown)
    assert found[0] == Extension("200", "Wextension", registered=True, busy=False)
    elsewhere = await asyncio.to_thread(extensions_now, "threecx", "another account")
    assert (elsewhere.listening, elsewhere.extensions) == (False, [])


async def test_extension_is_shown_busy_while_somebody_talks_there(line):
    async def seen(busy):
        at = await asyncio.to_thread(extensions_now, "threecx", str(line.account.public_id))
        return [each for each in at.extensions if (each.number, each.busy) == ("200", busy)]

    await until(lambda: seen(False))
    colleague = line.pbx._enter(line.pbx.dns["200"], "Connected", number=CALLER)
    await until(lambda: seen(True))
    line.pbx.leave(colleague)
    await until(lambda: seen(False))


async def hand_over(line, call, quiet):
    """The agent's conversation ends by handing the caller to extension 200."""
    closing = Closing("transferred", timezone.now(), transfer_to="200", stream=call.streams)
    await run_in_tenant(line.desk.tenant.id, call_close, call_id=call.pk, closing=closing)
    quiet._calls[call.public_id].end("transferred")


async def test_caller_is_handed_to_a_person(line, quiet):
    party = await line.dialled()
    await hand_over(line, await line.call(state="live"), quiet)
    await asyncio.wait_for(party.left.wait(), 10)
    assert party.routed_to == "200"
    assert (await line.call(state="ended")).end_reason == "transferred"
    await until(lambda: line.rows(Leg, state="ended"))
    kinds = [row.kind for row in await line.rows(CarrierEvent)]
    assert kinds == ["ringing", "answered", "bridged", "handover_ended", "ended"]


async def test_caller_whom_nobody_takes_comes_back_to_the_agent(line, quiet):
    line.pbx.telephones["200"] = Telephone(picks_up_after=0.5, reason="NoAnswer")
    party = await line.dialled()
    await until(lambda: line.rows(Utterance, role="agent"))
    await hand_over(line, await line.call(state="live"), quiet)
    await line.call(state="live", streams=2, media_lost_at=None)

    async def said() -> list[str]:
        return [row.text for row in await line.rows(Utterance, text__contains="no contesta")]

    await until(said)
    line.pbx.leave(party)
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"
