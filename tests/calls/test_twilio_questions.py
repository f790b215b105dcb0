"""What Twilio asks when a stream or a dialled call is over: late, twice, or when nobody is left."""

from __future__ import annotations

from datetime import timedelta
from xml.etree import ElementTree

import pytest
from django.utils import timezone

from calls.models import Call, Command, Leg
from calls.services.calls import calls_sweep
from tenants.db import run_in_tenant
from tests.calls.conftest import ring_form
from tests.calls.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

SALES = "+525511112222"


@pytest.fixture
async def ask(desk, ring, post, quiet):
    """A call in a state of one's own, and a way to ask about it: `await ask("after-stream", …)`."""
    await ring(desk.number)

    async def question(kind, after, **form):
        (call,) = await rows(desk, Call)
        path = f"/api/v1/twilio/calls/{call.public_id}/{kind}?after={after}"
        answer = await post(path, ring_form(desk.number, **{"CallStatus": "in-progress", **form}))
        return ElementTree.fromstring(answer.content)  # noqa: S314 - our own answer

    yield question
    await until(lambda: not quiet._background)


async def rows(desk, model, **filters):
    return await run_in_tenant(desk.tenant.id, lambda: list(model.objects.filter(**filters)))


async def is_now(desk, **fields):
    """The one call is like this: live, in its second stream, unless said otherwise."""
    now = timezone.now()
    usual = {"state": "live", "streams": 2, "answered_at": now, "heartbeat_at": now}
    await run_in_tenant(desk.tenant.id, lambda: Call.objects.update(**{**usual, **fields}))


async def call_of(desk):
    (call,) = await rows(desk, Call)
    return call


def asks_again(root):
    """The address that is asked after a while."""
    assert [verb.tag for verb in root] == ["Play", "Redirect"]
    return root.findtext("Redirect").partition("?")[2]


# --- in time -----------------------------------------------------------------------------------


async def test_question_in_time_is_answered_with_the_next_stream(desk, ask):
    await is_now(desk)
    root = await ask("after-stream", 2)
    assert root.find("Connect").get("action").endswith("/after-stream?after=3")
    call = await call_of(desk)
    assert (call.state, call.media_lost_at is not None) == ("live", True)


async def test_question_that_names_no_stream_is_about_the_present_one(desk, ask):
    await is_now(desk)
    for nothing in ("", "two", "-1"):
        root = await ask("after-stream", nothing)
        assert root.find("Connect").get("action").endswith("/after-stream?after=3")


# --- late --------------------------------------------------------------------------------------


async def test_late_question_about_an_earlier_stream_leaves_the_present_one_alone(desk, ask):
    await is_now(desk)
    assert asks_again(await ask("after-stream", 1)) == "after=2"
    call = await call_of(desk)
    assert (call.state, call.streams, call.media_lost_at) == ("live", 2, None)
    assert await rows(desk, Command) == []


async def test_late_answer_of_an_earlier_person_leaves_the_present_transfer_alone(desk, ask):
    await is_now(
        desk, state="ended", end_reason="transferred", transfer_to=SALES, ended_at=timezone.now()
    )
    assert asks_again(await ask("after-dial", 1, DialCallStatus="busy")) == "after=2"
    call = await call_of(desk)
    assert (call.state, call.end_reason) == ("ended", "transferred")


async def test_caller_whose_server_dies_after_a_failed_transfer_is_not_dialled_to_that_person(
    desk, ask
):
    long_ago = timezone.now() - timedelta(minutes=2)
    await is_now(desk, transfer_to=SALES, heartbeat_at=long_ago)
    swept = await run_in_tenant(desk.tenant.id, lambda: calls_sweep(now=timezone.now()))
    assert (swept, (await call_of(desk)).transfer_to) == (1, "")
    assert [verb.tag for verb in await ask("after-stream", 2)] == ["Say", "Hangup"]


async def test_number_of_an_earlier_transfer_is_not_dialled_at_another_end(desk, ask):
    now = timezone.now()
    await is_now(desk, state="ended", end_reason="server_lost", transfer_to=SALES, ended_at=now)
    assert [verb.tag for verb in await ask("after-stream", 2)] == ["Say", "Hangup"]


# --- nobody is left ----------------------------------------------------------------------------


async def test_question_about_a_leg_that_is_over_ends_the_call_that_waited(desk, ask):
    await is_now(desk, media_lost_at=timezone.now())
    root = await ask("after-stream", 2, CallStatus="completed")
    assert [verb.tag for verb in root] == ["Hangup"]
    await until(lambda: rows(desk, Call, state="ended"))
    assert (await call_of(desk)).end_reason == "caller_hung_up"
    (leg,) = await rows(desk, Leg)
    assert (leg.state, leg.cause) == ("ended", "completed")
