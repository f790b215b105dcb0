"""Calls of a process that died: taken over within seconds, or over. No line stays silent."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from calls import tasks, webhooks
from calls.carriers import outbox
from calls.line import presence
from calls.line.live import LiveCalls
from calls.line.presence import Presence, present_processes
from calls.models import Call, Command, Leg
from calls.providers.carriers.signals import Event
from calls.services.calls import GONE_AFTER, call_unheard, calls_of_gone_servers
from calls.services.carrier_events import event_store
from calls.services.carrier_signals import leg_apply
from calls.services.parting import MOST_STREAMS
from calls.session import StoredCall
from tenants.db import tenant_transaction
from tests.calls.carrier_line import sound_on
from tests.calls.conftest import staff_desk
from tests.calls.phone import QUICK, on_a_script
from tests.calls.telnyx_line import telnyx_line
from tests.calls.waiting import until
from tests.rows import make_row

LISTEN_AGAIN = webhooks.listen_again  # before tests do without it
NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)
A_SECOND = timedelta(seconds=1)
HERE, GONE = "here:1:aa", "gone:2:bb"


@pytest.fixture
def kept(monkeypatch):
    """Orders stay where they are."""
    monkeypatch.setattr(outbox, "post", lambda *_order: None)


@pytest.fixture
def talking(kept, in_tenant):
    """A live call with an answered leg, as of noon: `talking("telnyx", server=GONE)`."""

    def make(name="telnyx", **fields):
        usual = {"state": "live", "streams": 1, "server": GONE, "language": "es"}
        times = {"started_at": NOON, "answered_at": NOON, "heartbeat_at": NOON}
        call = make_row(Call, channel=name, carrier_id="leg-1", **{**times, **usual, **fields})
        if name != "browser":
            make_row(
                Leg, call=call, carrier=name, carrier_id="leg-1", account=None,
                state="answered", answered_at=NOON, direction="inbound",
            )  # fmt: skip
        return call

    return make


def swept(after=GONE_AFTER + A_SECOND):
    """What is done so long after a heartbeat, when only one process is present."""
    return calls_of_gone_servers(present=[HERE], now=NOON + after)


def outcome(call):
    call.refresh_from_db()
    return call.state, call.end_reason, call.media_lost_at is not None


def orders():
    return [(order.kind, order.arguments.get("after")) for order in Command.objects.order_by("pk")]


# --- processes that are not present ------------------------------------------------------------


@pytest.mark.parametrize("name", ["telnyx", "threecx"])
def test_call_of_a_process_that_is_gone_gets_another_stream(talking, name):
    call = talking(name)
    assert swept() == 0
    assert outcome(call) == ("live", "", True)
    assert orders() == [("reattach", 1)]
    assert swept() == 0
    assert orders() == [("reattach", 1)]


@pytest.mark.parametrize("name", ["browser", "twilio"])
def test_call_that_nobody_can_bring_back_is_over(talking, name):
    """A page comes with its own server; Twilio would have asked what comes next."""
    call = talking(name)
    assert swept() == 1
    assert outcome(call) == ("ended", "server_lost", False)
    call.refresh_from_db()
    assert call.ended_at == NOON


def test_call_that_lost_its_sound_too_often_ends_with_an_apology(talking):
    call = talking(streams=MOST_STREAMS)
    assert swept() == 1
    assert outcome(call) == ("ended", "server_lost", False)
    assert orders() == [("say_and_hang_up", None)]


@pytest.mark.parametrize(
    ("fields", "after"),
    [
        ({"server": HERE}, timedelta(seconds=20)),  # it is there: its database may be slow
        ({"server": ""}, timedelta(seconds=20)),  # nobody said who has it
        ({}, GONE_AFTER - A_SECOND),  # it was heard of a moment ago: Redis may be new
        ({"media_lost_at": NOON}, timedelta(seconds=20)),  # it waits for a stream already
    ],
)
def test_call_that_may_well_be_in_good_hands_is_left_alone(talking, fields, after):
    call = talking(**fields)
    before = outcome(call)
    assert swept(after) == 0
    assert outcome(call) == before
    assert orders() == []


@pytest.fixture
def board(settings):
    """A board in the real Redis that is no other test's."""
    settings.PUBLIC_BASE_URL = f"https://{uuid.uuid4()}.example"


def a_minute_ago():
    then = timezone.now() - timedelta(minutes=1)
    return {"answered_at": then, "heartbeat_at": then}


@pytest.mark.django_db(transaction=True)
def test_sweeper_asks_redis_who_is_present(desk, board, kept):
    here = Presence(LiveCalls(), presence.open_board)
    with tenant_transaction(desk.tenant.id):
        rows = {"state": "live", "channel": "browser", **a_minute_ago()}
        mine = make_row(Call, server=here.process, **rows)
        other = make_row(Call, server=GONE, **rows)
    tasks.asyncio.run(_publish(here))
    assert tasks.sweep_servers() == 1
    with tenant_transaction(desk.tenant.id):
        assert outcome(mine)[0] == "live"
        assert outcome(other)[:2] == ("ended", "server_lost")


async def _publish(process):
    board = presence.open_board()
    await process.beat(board)
    assert await present_processes() == {process.process}
    await board.aclose()


@pytest.mark.django_db(transaction=True)
def test_nobody_is_taken_for_gone_while_redis_is_away(desk, settings, caplog):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with tenant_transaction(desk.tenant.id):
        call = make_row(Call, server=GONE, state="live", **a_minute_ago())
    assert tasks.sweep_servers() == 0
    assert "cannot be asked who is present" in caplog.text
    with tenant_transaction(desk.tenant.id):
        assert outcome(call)[0] == "live"


@pytest.mark.django_db(transaction=True)
def test_nobody_is_taken_for_gone_by_a_redis_that_has_just_begun(desk, board):
    with tenant_transaction(desk.tenant.id):
        call = make_row(Call, server=GONE, state="live", **a_minute_ago())
    assert tasks.sweep_servers() == 0
    with tenant_transaction(desk.tenant.id):
        assert outcome(call)[0] == "live"


# --- streams that the carrier stopped ----------------------------------------------------------


def told(kind, after=5.0, **payload):
    """What Telnyx tells of the leg so long after noon, kept and taken notice of."""
    ids = {"call_control_id": "leg-1", "call_session_id": "s", "connection_id": "1"}
    event = Event(
        event_id=f"{kind}-{after}", kind=kind, account="1", leg="leg-1", session="s",
        at=NOON + timedelta(seconds=after), payload={**ids, **payload},
    )  # fmt: skip
    event_store(carrier_name="telnyx", event=event)
    return leg_apply(carrier_name="telnyx", leg="leg-1").unheard


def unheard(call, streams=1, after=5.0):
    """The moment in which its process should have noticed is over."""
    at = NOON + timedelta(seconds=after)
    call_unheard(call_id=call.pk, streams=streams, stopped_at=at, now=at + 2 * A_SECOND)


def test_stopped_stream_of_a_live_call_is_looked_after(talking):
    call = talking()
    told("call.answered", 0)
    found = told("streaming.stopped")
    assert (found.call_id, found.streams) == (call.pk, 1)
    unheard(call)
    assert outcome(call) == ("live", "", True)
    assert orders() == [("reattach", 1)]


def test_failed_stream_of_a_live_call_is_looked_after_too(talking):
    talking()
    told("call.answered", 0)
    assert told("streaming.failed", failure_reason="connection_lost") is not None
    assert orders() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"media_lost_at": NOON},  # its process has noticed
        {"streams": 2},  # it was an earlier stream, told late
    ],
)
def test_stopped_stream_that_was_noticed_is_nobodys_concern(talking, fields):
    talking(**fields)
    told("call.answered", 0)
    assert told("streaming.stopped", -1) is None


def test_stopped_stream_of_a_call_that_is_over_is_nobodys_concern(talking):
    talking(state="ended", end_reason="agent_hung_up", ended_at=NOON)
    told("call.answered", 0)
    assert told("streaming.stopped") is None


@pytest.mark.parametrize(
    ("fields", "streams"),
    [
        ({"heartbeat_at": NOON + timedelta(seconds=6)}, 1),  # whoever has it is alive
        ({"streams": 2}, 1),  # another stream came meanwhile
        ({"media_lost_at": NOON}, 1),  # it was noticed meanwhile
    ],
)
def test_call_that_was_looked_after_meanwhile_is_left_alone(talking, fields, streams):
    call = talking(**fields)
    before = outcome(call)
    unheard(call, streams)
    assert outcome(call) == before
    assert orders() == []


def test_call_whose_caller_has_left_is_over(talking):
    call = talking()
    Leg.objects.update(state="ended", ended_at=NOON, cause="completed")
    unheard(call)
    assert outcome(call) == ("ended", "caller_hung_up", False)
    assert orders() == []


def test_stream_that_cannot_be_opened_again_is_ordered_once_more(talking):
    talking(media_lost_at=NOON)
    told("call.answered", 0)
    for after in (1, 2):
        assert told("streaming.failed", after, failure_reason="connection_failed") is None
    assert orders() == [("reattach", 1)]


def test_failure_of_the_stream_that_was_lost_orders_nothing_more(talking):
    talking(media_lost_at=NOON)
    told("call.answered", -9)
    told("streaming.failed", -1, failure_reason="connection_lost")
    assert orders() == []


# --- all of it, over real HTTP and real sockets ------------------------------------------------


@pytest.fixture
def desk(tenant):
    transcriber = {"provider": "embedded", "languages": ["es-MX"], "turns": QUICK}
    return staff_desk(tenant, "+525512340001", transcriber=transcriber)


@pytest.mark.django_db(transaction=True)
async def test_call_whose_process_died_is_heard_again_when_telnyx_tells(
    desk, quiet, settings, monkeypatch, tmp_path
):
    settings.MEDIA_ROOT = tmp_path
    on_a_script(monkeypatch)
    monkeypatch.setattr(webhooks, "NOTICED_SECONDS", 0.05)

    def die(call, *_end):
        """Nothing is ever heard of it again."""
        del quiet.writer._stores[id(call._store)]

    async def at_once(_call):
        """There is nothing to wait for."""

    async with telnyx_line(desk, quiet, settings, monkeypatch) as line:
        monkeypatch.setattr(webhooks, "listen_again", LISTEN_AGAIN)
        leg = await line.dialled()
        first = await line.hears(leg)
        with monkeypatch.context() as dying:
            dying.setattr(StoredCall, "close", die)
            dying.setattr(StoredCall, "let_go", at_once)
            await first.vanish()
            await until(lambda: not len(quiet))
        assert (await line.call(state="live")).media_lost_at is None
        await line.cloud.tell(leg, "streaming.stopped")
        await until(lambda: leg.stream is not first and sound_on(leg.stream))
        await line.call(state="live", streams=2, server=presence.presence.process)
        await line.hang_up(leg)
        assert (await line.call(state="ended")).end_reason == "caller_hung_up"
