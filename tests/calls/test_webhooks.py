"""Calls are announced: signed, once, to whom they are for, or politely refused."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from django.db import OperationalError
from django.utils import timezone

from calls.carriers import reception, tokens
from calls.line.rows import Closing
from calls.models import Call, RefusedCall, State
from calls.services.calls import call_close
from tenants.db import run_in_tenant, run_unscoped
from tests.calls.conftest import INCOMING, ring_form, sign_form

pytestmark = pytest.mark.django_db(transaction=True)

SID = "CA" + "1" * 32


def verbs(response):
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/xml")
    return ElementTree.fromstring(response.content)  # noqa: S314 - our own answer


def stream_in(response):
    return verbs(response).find("Connect/Stream")


def token_in(response):
    return stream_in(response).find("Parameter").get("value")


async def calls_of(desk):
    return await run_in_tenant(desk.tenant.id, lambda: list(Call.objects.order_by("id")))


async def refused():
    return await run_unscoped(lambda: list(RefusedCall.objects.order_by("id")))


async def test_call_is_connected_to_the_media_socket(desk, ring):
    response = await ring(desk.number)
    assert [verb.tag for verb in verbs(response)] == ["Connect", "Say"]
    assert stream_in(response).get("url") == ("wss://andrea.example/api/v1/ws/media-stream/twilio")
    (call,) = await calls_of(desk)
    assert tokens.read_stream_token(token_in(response)).call == call.public_id
    assert (call.state, call.channel, call.carrier_id) == ("ringing", "twilio", SID)
    assert (call.from_number, call.to_number) == ("+525598765432", desk.number)
    assert (call.agent_id, call.version_id) == (desk.agent.pk, desk.version.pk)
    assert call.language == "es"


async def test_greeting_is_prepared_while_the_phone_rings(desk, ring, prepared):
    await ring(desk.number)
    await ring("+14155559999", "CA2")
    (call,) = await calls_of(desk)
    assert prepared == [(desk.tenant.id, call.public_id)]


async def test_last_words_are_in_the_agents_language(desk, other_desk, ring):
    spanish = verbs(await ring(desk.number, "CA1")).find("Say")
    english = verbs(await ring(other_desk.number, "CA2")).find("Say")
    assert (spanish.get("language"), english.get("language")) == ("es-MX", "en-US")


async def test_dialled_number_decides_the_tenant(desk, other_desk, ring):
    await ring(desk.number, "CA1")
    await ring(other_desk.number, "CA2")
    assert [call.carrier_id for call in await calls_of(desk)] == ["CA1"]
    assert [call.carrier_id for call in await calls_of(other_desk)] == ["CA2"]


async def test_second_announcement_of_a_ringing_call_gets_the_same_answer(desk, ring):
    first, second = await ring(desk.number), await ring(desk.number)
    assert len(await calls_of(desk)) == 1
    claims = {tokens.read_stream_token(token_in(answer)) for answer in (first, second)}
    assert len(claims) == 1
    assert stream_in(first).attrib == stream_in(second).attrib


async def test_simultaneous_announcements_make_one_call(desk, ring):
    answers = await asyncio.gather(*(ring(desk.number) for _ in range(6)))
    assert len(await calls_of(desk)) == 1
    assert len({tokens.read_stream_token(token_in(answer)) for answer in answers}) == 1


async def test_same_call_sid_in_two_tenants_is_two_calls(desk, other_desk, ring):
    await ring(desk.number)
    await ring(other_desk.number)
    assert len(await calls_of(desk)) == len(await calls_of(other_desk)) == 1


# --- forged, unsigned, replayed ------------------------------------------------------------


@pytest.mark.parametrize("signature", ["", "bm90IGEgc2lnbmF0dXJl", "ñ"])
async def test_unsigned_or_forged_webhook_creates_nothing(desk, post, signature, caplog):
    response = await post(INCOMING, ring_form(desk.number), signature=signature)
    assert response.status_code == 403
    assert response.content == b""
    assert await calls_of(desk) == []
    assert await refused() == []
    assert "twilio: refused" in caplog.text


async def test_webhook_signed_with_another_token_creates_nothing(desk, post):
    form = ring_form(desk.number)
    forged = sign_form(INCOMING, form, "https://andrea.example", token="0" * 32)
    assert (await post(INCOMING, form, signature=forged)).status_code == 403
    assert await calls_of(desk) == []


async def test_signature_of_another_form_opens_nothing(desk, other_desk, post):
    form = ring_form(desk.number)
    signature = sign_form(INCOMING, form, "https://andrea.example")
    changed = {**form, "To": other_desk.number}
    assert (await post(INCOMING, changed, signature=signature)).status_code == 403
    assert await calls_of(other_desk) == []


async def test_signature_covers_the_query_as_it_was_sent(desk, post):
    path = INCOMING + "?a=%7E&b=1+2"
    assert (await post(path, ring_form(desk.number))).status_code == 200
    form = ring_form(desk.number, "CA2")
    other = sign_form(INCOMING, form, "https://andrea.example")
    assert (await post(path, form, signature=other)).status_code == 403


async def test_own_token_of_the_account_is_the_one_that_counts(desk, ring, post, settings):
    settings.TWILIO_AUTH_TOKEN = "a" * 32
    assert (await ring(desk.number)).status_code == 200
    form = ring_form(desk.number, "CA2")
    simulated = sign_form(INCOMING, form, "https://andrea.example", token="b" * 32)
    assert (await post(INCOMING, form, signature=simulated)).status_code == 403


@pytest.mark.parametrize("state", ["live", "ended"])
async def test_replayed_webhook_of_a_call_past_ringing_is_refused(desk, ring, state, caplog):
    token = token_in(await ring(desk.number))
    await run_in_tenant(desk.tenant.id, _advance, tokens.read_stream_token(token).call, state)
    before = [(c.state, c.updated_at) for c in await calls_of(desk)]
    response = await ring(desk.number)
    assert response.status_code == 403
    assert [(c.state, c.updated_at) for c in await calls_of(desk)] == before
    assert "announced before" in caplog.text


def _advance(public_id, state):
    now = timezone.now()
    call = Call.objects.get(public_id=public_id)
    Call.objects.filter(pk=call.pk).update(state="live", answered_at=now, heartbeat_at=now)
    if state == "ended":
        call_close(call_id=call.pk, closing=Closing("caller_hung_up", now))


async def test_replayed_webhook_of_a_call_that_rang_long_ago_is_refused(desk, ring):
    await ring(desk.number)
    old = timezone.now() - timedelta(minutes=10)
    await run_in_tenant(desk.tenant.id, lambda: Call.objects.update(started_at=old))
    assert (await ring(desk.number)).status_code == 403


# --- calls that nobody takes -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("caller", "language"),
    [
        ("+525598765432", "es-MX"),
        ("+34600000000", "es-MX"),
        ("+14155550100", "en-US"),
        ("+442071838750", "en-US"),
        ("anonymous", "en-US"),
    ],
)
async def test_unknown_number_is_refused_in_the_callers_likely_language(
    desk, ring, caller, language
):
    response = await ring("+14155559999", From=caller)
    assert [verb.tag for verb in verbs(response)] == ["Say", "Hangup"]
    assert verbs(response).find("Say").get("language") == language
    (row,) = await refused()
    assert (row.reason, row.to_number, row.from_number) == (
        "unknown_number", "+14155559999", caller,
    )  # fmt: skip
    assert await calls_of(desk) == []


async def test_refused_call_is_noted_once(db, ring):
    await ring("+14155559999")
    await ring("+14155559999")
    assert len(await refused()) == 1


async def test_notes_of_refused_calls_cannot_be_changed(db, ring):
    await ring("+14155559999")
    with pytest.raises(Exception, match="append-only"):
        await run_unscoped(lambda: RefusedCall.objects.update(reason="busy"))
    assert (await refused())[0].reason == "unknown_number"


@pytest.mark.parametrize("what", ["number", "agent", "tenant", "version"])
async def test_switched_off_desk_refuses_politely(desk, ring, what):
    await run_in_tenant(desk.tenant.id, _switch_off, desk, what)
    response = await ring(desk.number)
    assert [verb.tag for verb in verbs(response)] == ["Say", "Hangup"]
    (call,) = await calls_of(desk)
    assert (call.state, call.end_reason) == (State.ENDED, "refused_no_agent")
    assert await refused() == []


def _switch_off(desk, what):
    if what == "number":
        desk.agent.numbers.update(is_active=False)
    elif what == "agent":
        type(desk.agent).objects.update(is_active=False)
    elif what == "tenant":
        type(desk.tenant).objects.filter(pk=desk.tenant.pk).update(is_active=False)
    else:
        type(desk.version).objects.update(state="retired")


async def test_full_server_says_that_lines_are_busy(desk, ring, live):
    live.limit = 0
    assert "ocupadas" in verbs(await ring(desk.number)).findtext("Say")
    (call,) = await calls_of(desk)
    assert (call.end_reason, call.answered_at) == ("refused_busy", None)


async def test_carrier_that_asks_again_is_refused_again_and_noted_once(desk, ring, live):
    live.limit = 0
    first, second = await ring(desk.number), await ring(desk.number)
    assert first.content == second.content
    assert len(await calls_of(desk)) == 1


async def test_draining_server_takes_no_calls(desk, ring, live):
    live.draining = True
    assert verbs(await ring(desk.number)).find("Connect") is None
    assert [call.end_reason for call in await calls_of(desk)] == ["refused_busy"]


async def test_caller_hears_an_apology_while_the_database_is_away(desk, ring, monkeypatch):
    def away(*_args, **_kwargs):
        raise OperationalError("connection refused")

    monkeypatch.setattr(reception, "tenant_by_key", away)
    assert [verb.tag for verb in verbs(await ring(desk.number))] == ["Say", "Hangup"]


@pytest.mark.parametrize("missing", ["CallSid", "To"])
async def test_incomplete_announcement_is_a_bad_request(desk, post, missing):
    form = {k: v for k, v in ring_form(desk.number).items() if k != missing}
    assert (await post(INCOMING, form)).status_code == 400
    assert await calls_of(desk) == []


async def test_only_post_is_answered(async_client, db):
    assert (await async_client.get(INCOMING)).status_code == 405


async def test_strange_numbers_are_no_trouble(desk, ring):
    for number in ("client:alice", "sip:a@b", "+" + "9" * 300, "'; DROP TABLE", "١٢٣"):
        assert verbs(await ring(number, "CA" + str(len(number)))).find("Say") is not None


# --- after the stream ------------------------------------------------------------------------


async def ended_call(desk, ring, reason, transfer_to=""):
    await ring(desk.number)
    (call,) = await calls_of(desk)
    now = timezone.now()
    closing = Closing(reason, now, transfer_to=transfer_to)

    def end():
        Call.objects.filter(pk=call.pk).update(state="live", answered_at=now, heartbeat_at=now)
        call_close(call_id=call.pk, closing=closing)

    await run_in_tenant(desk.tenant.id, end)
    return f"/api/v1/twilio/calls/{call.public_id}/after-stream"


async def test_transfer_dials_the_person(desk, ring, post):
    path = await ended_call(desk, ring, "transferred", "+525511112222")
    root = verbs(await post(path, ring_form(desk.number)))
    assert root.findtext("Dial/Number") == "+525511112222"
    assert root.find("Dial").get("callerId") == desk.number
    assert root.find("Dial").get("action").endswith("/after-dial?after=0")


async def test_call_that_ended_well_is_hung_up(desk, ring, post):
    path = await ended_call(desk, ring, "agent_hung_up")
    assert [v.tag for v in verbs(await post(path, ring_form(desk.number)))] == ["Hangup"]


async def test_call_that_broke_off_ends_with_an_apology(desk, ring, post):
    path = await ended_call(desk, ring, "internal_error")
    assert [v.tag for v in verbs(await post(path, ring_form(desk.number)))] == ["Say", "Hangup"]


@pytest.mark.parametrize(("status", "tags"), [
    ("completed", ["Hangup"]), ("no-answer", ["Connect"]), ("busy", ["Connect"]),
])  # fmt: skip
async def test_after_a_transfer_the_caller_is_with_the_agent_again_if_nobody_answered(
    desk, ring, post, status, tags
):
    path = await ended_call(desk, ring, "transferred", "+525511112222")
    path = path.replace("after-stream", "after-dial")
    form = ring_form(desk.number, DialCallStatus=status)
    assert [v.tag for v in verbs(await post(path, form))] == tags


async def test_forged_question_after_the_stream_is_refused(desk, ring, post):
    path = await ended_call(desk, ring, "transferred", "+525511112222")
    assert (await post(path, ring_form(desk.number), signature="x")).status_code == 403


async def test_question_about_another_call_learns_nothing(desk, other_desk, ring, post):
    path = await ended_call(desk, ring, "transferred", "+525511112222")
    answer = verbs(await post(path, ring_form(other_desk.number, "CA-other")))
    assert [v.tag for v in answer] == ["Hangup"]


async def test_call_whose_stream_never_came_ends_with_an_apology_and_is_closed(desk, ring, post):
    await ring(desk.number)
    (call,) = await calls_of(desk)
    path = f"/api/v1/twilio/calls/{call.public_id}/after-stream"
    assert [v.tag for v in verbs(await post(path, ring_form(desk.number)))] == ["Say", "Hangup"]
    (call,) = await calls_of(desk)
    assert (call.state, call.end_reason) == (State.ENDED, "failed")
