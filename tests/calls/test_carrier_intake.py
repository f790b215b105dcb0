"""What carriers tell: kept once, applied in any order, and never lost with a process."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calls import tasks, webhooks
from calls.carriers import outbox
from calls.carriers.installation import api_url, installation_keys
from calls.line import ringing
from calls.line.ringing import prepare_greeting
from calls.models import Call, CarrierEvent, Command, Leg, StrayEvent
from calls.providers.carriers.carrier import Webhook
from calls.providers.carriers.registry import carrier
from calls.providers.carriers.signals import Event
from calls.providers.carriers.telnyx import simulated
from calls.providers.carriers.telnyx.signature import sign
from calls.services.carrier_events import event_store
from calls.services.carrier_signals import leg_apply
from calls.services.commands import command_give
from calls.services.orders import command_claim, command_failed, command_unanswered
from tenants.db import tenant_transaction
from tests.calls.waiting import until
from tests.rows import make_row

PATH = "/api/v1/telnyx/call-control"
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
BURST: tuple[tuple[str, dict[str, str]], ...] = (
    ("call.initiated", {"direction": "incoming", "state": "parked"}),
    ("call.answered", {"state": "answered"}),
    ("streaming.started", {}),
    ("call.dtmf.received", {"digit": "5"}),
    ("streaming.stopped", {}),
    ("call.hangup", {"hangup_cause": "normal_clearing", "hangup_source": "caller"}),
)


def told(desk, leg, kind, payload, after=0.0, event_id=""):
    """One event of Telnyx's, as its body."""
    ids = {"call_control_id": leg, "call_session_id": f"s-{leg}", "connection_id": "1234567890"}
    numbers = {"from": "+525598765432", "to": desk.number}
    data = {
        "record_type": "event",
        "event_type": kind,
        "id": event_id or f"{leg}-{kind}-{after}",
        "occurred_at": (NOON + timedelta(seconds=after)).isoformat(),
        "payload": {**ids, **numbers, **payload},
    }
    return json.dumps({"data": data}).encode()


def burst(desk, leg):
    """The events of one call that its caller soon ended, in order."""
    return [
        event_of(told(desk, leg, kind, payload, after=number))
        for number, (kind, payload) in enumerate(BURST)
    ]


def event_of(body) -> Event:
    webhook = Webhook(kind="", url="", headers={}, body=body, form={})
    return carrier("telnyx").event(webhook, time.time())


def take(desk, event):
    """What a webhook does, on one thread."""
    with tenant_transaction(desk.tenant.id):
        event_store(carrier_name="telnyx", event=event)
    with tenant_transaction(desk.tenant.id):
        leg_apply(carrier_name="telnyx", leg=event.leg)


def picture_of(desk, leg):
    """All rows of a leg, without what differs from one call to the next."""
    with tenant_transaction(desk.tenant.id):
        call = Call.objects.get(carrier_id=leg)
        row = Leg.objects.get(carrier_id=leg)
        events = list(CarrierEvent.objects.filter(leg=leg))
        kinds = list(Command.objects.filter(leg=row).values_list("kind", flat=True))
    assert all(event.applied_at for event in events)
    assert len(kinds) == len(set(kinds))
    return (
        [call.state, call.end_reason, call.started_at, call.ended_at, call.direction],
        [call.from_number, call.to_number, call.language, call.version_id],
        [row.state, row.cause, row.answered_at, row.ended_at, row.role, row.direction],
        [row.from_number, row.to_number, row.detail, row.session == f"s-{leg}"],
        sorted((event.kind, event.occurred_at, event.fault) for event in events),
    )


@pytest.mark.django_db(transaction=True)
def test_events_in_any_order_and_more_than_once_make_the_same_rows(desk):
    for event in burst(desk, "v3:in-order"):
        take(desk, event)
    expected = picture_of(desk, "v3:in-order")
    assert expected[0][:2] == ["ended", "cancelled"]
    seen = set()

    @settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.permutations(range(len(BURST))),
        st.lists(st.integers(0, len(BURST) - 1), max_size=4),
        st.randoms(use_true_random=False),
    )
    def shuffled(order, again, chance):
        leg = f"v3:{uuid.uuid4().hex}"
        events = burst(desk, leg)
        deliveries = [events[number] for number in (*order, *again)]
        chance.shuffle(deliveries)
        for event in deliveries:
            take(desk, event)
        assert picture_of(desk, leg) == expected
        seen.add(leg)

    shuffled()
    assert len(seen) == 20


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("offered", "rate"), [("G722,PCMA,PCMU", 16_000), ("PCMU,G722", 8_000)])
def test_greeting_is_prepared_at_the_rate_that_the_stream_will_have(
    desk, monkeypatch, offered, rate
):
    kind, payload = BURST[0]
    initiated = event_of(told(desk, "v3:a", kind, {**payload, "offered_codecs": offered}, after=0))
    with tenant_transaction(desk.tenant.id):
        event_store(carrier_name="telnyx", event=initiated)
        taken = leg_apply(carrier_name="telnyx", leg="v3:a")
    assert taken.rings is not None
    rates = []
    monkeypatch.setattr(ringing, "warm_up", lambda: None)
    monkeypatch.setattr(ringing, "voices_for", lambda _opening, rate: rates.append(rate) or [])
    asyncio.run(prepare_greeting(desk.tenant.id, taken.rings.public_id, taken.sample_rate))
    assert rates == [rate]


# --- killed in between -------------------------------------------------------------------------


def long_ago(model):
    model.objects.update(
        **{
            "received_at" if model is CarrierEvent else "created_at": timezone.now()
            - timedelta(seconds=30)
        }
    )


@pytest.mark.django_db(transaction=True)
def test_event_that_was_kept_by_a_process_that_died_is_applied_by_the_sweeper(desk):
    with tenant_transaction(desk.tenant.id):
        event_store(carrier_name="telnyx", event=burst(desk, "v3:a")[0])
        assert not Leg.objects.exists()
        long_ago(CarrierEvent)
    assert tasks.sweep_carriers() == 1
    with tenant_transaction(desk.tenant.id):
        assert Leg.objects.get().call.state == "ringing"
        assert [row.kind for row in Command.objects.all()] == ["answer"]
    assert tasks.sweep_carriers() == 0


@pytest.mark.django_db(transaction=True)
def test_one_legs_defect_does_not_keep_the_others_waiting(desk, monkeypatch, caplog):
    real = leg_apply

    def fragile(*, carrier_name, leg):
        if leg == "v3:bad":
            raise RuntimeError("a defect")
        return real(carrier_name=carrier_name, leg=leg)

    monkeypatch.setattr(tasks, "leg_apply", fragile)
    with tenant_transaction(desk.tenant.id):
        for leg in ("v3:bad", "v3:good"):
            event_store(carrier_name="telnyx", event=burst(desk, leg)[0])
        long_ago(CarrierEvent)
    tasks.sweep_carriers()
    assert "v3:bad cannot be applied" in caplog.text
    with tenant_transaction(desk.tenant.id):
        assert [leg.carrier_id for leg in Leg.objects.all()] == ["v3:good"]


@pytest.mark.django_db(transaction=True)
def test_event_of_a_leg_that_nobody_knows_waits_for_it(desk):
    first, hangup = burst(desk, "v3:a")[0], burst(desk, "v3:a")[-1]
    take(desk, hangup)
    with tenant_transaction(desk.tenant.id):
        assert CarrierEvent.objects.get().applied_at is None
    take(desk, first)
    with tenant_transaction(desk.tenant.id):
        assert not CarrierEvent.objects.filter(applied_at=None).exists()
        assert Call.objects.get().end_reason == "cancelled"


@pytest.mark.django_db(transaction=True)
def test_event_that_breaks_its_protocol_is_kept_with_what_is_wrong_with_it(desk):
    take(desk, burst(desk, "v3:a")[0])
    take(desk, event_of(told(desk, "v3:a", "call.machine.detection.ended", {}, after=1)))
    with tenant_transaction(desk.tenant.id):
        row = CarrierEvent.objects.get(kind="call.machine.detection.ended")
    assert row.applied_at is not None
    assert "result" in row.fault


@pytest.mark.django_db(transaction=True)
def test_order_that_nobody_sent_and_one_whose_sender_died_are_sent_by_the_sweeper(
    desk, monkeypatch
):
    take(desk, burst(desk, "v3:a")[0])
    sent = []
    monkeypatch.setattr(outbox, "post", lambda _tenant, command: sent.append(command))
    with tenant_transaction(desk.tenant.id):
        leg = Leg.objects.get()
        first = Command.objects.get()
        second = command_give(leg=leg, kind=Command.Kind.HANG_UP, reason="x")
        command_claim(command_id=second.pk)
        long_ago(Command)
        Command.objects.filter(pk=second.pk).update(sent_at=timezone.now() - timedelta(minutes=1))
    sent.clear()
    tasks.sweep_carriers()
    assert sorted(sent) == [first.pk, second.pk]


# --- orders ------------------------------------------------------------------------------------


@pytest.fixture
def leg(desk, in_tenant):
    return make_row(Leg, carrier="telnyx", carrier_id="v3:x", direction="outbound")


def test_order_is_given_once_for_a_reason_and_claimed_once(leg):
    order = command_give(leg=leg, kind=Command.Kind.HANG_UP, reason="over")
    assert command_give(leg=leg, kind=Command.Kind.HANG_UP, reason="over") is None
    assert command_claim(command_id=order.pk).leg == "v3:x"
    assert command_claim(command_id=order.pk) is None


@pytest.mark.parametrize(("kind", "state"), [("place", "unknown"), ("hang_up", "pending")])
def test_order_without_an_answer_is_sent_again_unless_it_would_ring_twice(leg, kind, state):
    order = command_give(leg=leg, kind=Command.Kind(kind), reason="r")
    command_claim(command_id=order.pk)
    command_unanswered(command_id=order.pk, error="timeout")
    order.refresh_from_db()
    assert (order.state, order.error) == (state, "timeout")


def test_order_that_is_never_answered_fails_in_the_end(leg):
    order = command_give(leg=leg, kind=Command.Kind.SAY, reason="r")
    for _ in range(5):
        assert command_claim(command_id=order.pk) is not None
        command_unanswered(command_id=order.pk, error="timeout")
    order.refresh_from_db()
    assert order.state == "failed"


@pytest.mark.parametrize(("gone", "reason"), [(True, "cancelled"), (False, "failed")])
def test_call_that_cannot_be_placed_is_in_the_call_log(leg, gone, reason):
    order = command_give(leg=leg, kind=Command.Kind.PLACE, reason="r")
    command_claim(command_id=order.pk)
    command_failed(command_id=order.pk, error="no", leg_gone=gone)
    call = Call.objects.get(pk=leg.call_id)
    assert (call.state, call.end_reason) == ("ended", reason)


# --- the address -------------------------------------------------------------------------------


@pytest.fixture
async def post(async_client, settings, quiet):
    key = simulated.private_key_of(settings.SECRET_KEY)

    async def send(body, *, path=PATH, key=key, now=None, headers=None):
        signed = sign(body, private_key=key, now=time.time() if now is None else now)
        return await async_client.post(
            path,
            body,
            content_type="application/json",
            headers=signed if headers is None else headers,
        )

    yield send
    await until(lambda: not quiet._background)


@pytest.mark.django_db(transaction=True)
async def test_unsigned_forged_old_or_altered_webhook_is_refused_and_nothing_is_kept(
    desk, post, quiet, caplog
):
    body = told(desk, "v3:a", *BURST[0])
    other = simulated.private_key_of("another installation")
    good = sign(body, private_key=simulated.private_key_of("x"), now=time.time())
    for attempt in (
        partial(post, body, headers={}),
        partial(post, body, key=other),
        partial(post, body, now=time.time() - 301),
        partial(post, body, headers={**good, "telnyx-signature-ed25519": "ñ"}),
        partial(post, body, path=f"{PATH}/{uuid.uuid4()}"),
        partial(post, body, path=f"/api/v1/telnyx/calls/{uuid.uuid4()}"),
    ):
        answer = await attempt()
        assert (answer.status_code, answer.content) == (403, b"")
    assert caplog.text.count("telnyx: refused") == 6
    assert await rows(desk, CarrierEvent) == []
    assert await rows(desk, Call) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"data": {"id": 1}}', b"\xff" * 100])
async def test_signed_webhook_that_is_none_is_a_bad_request(desk, post, body, quiet):
    assert (await post(body)).status_code == 400


@pytest.mark.django_db(transaction=True)
async def test_identity_that_cannot_be_kept_is_a_bad_request(desk, post, quiet):
    good = json.loads(told(desk, "v3:a", *BURST[0]))["data"]
    for data in (
        {**good, "id": "a\x00b"},
        {**good, "id": "x" * 201},
        {**good, "payload": {**good["payload"], "call_control_id": "v3:" + "a" * 200}},
        {**good, "payload": {**good["payload"], "call_control_id": "v3:\x00"}},
        {**good, "payload": {**good["payload"], "call_session_id": "\x00"}},
        {**good, "occurred_at": "0001-01-01T00:00:00+23:59"},
        {**good, "occurred_at": "9999-12-31T23:59:59-12:00"},
    ):
        assert (await post(json.dumps({"data": data}).encode())).status_code == 400
    assert await rows(desk, CarrierEvent) == []


@pytest.mark.django_db(transaction=True)
async def test_numbers_with_null_characters_lead_to_nobody(desk, post, quiet):
    numbers = {"from": "+52\x00", "to": "+52\x0099", "deep": json.loads("[" * 500 + "]" * 500)}
    kind, payload = BURST[0]
    assert (await post(told(desk, "v3:a", kind, {**payload, **numbers}))).status_code == 200
    assert await rows(desk, CarrierEvent) == []


@pytest.mark.django_db(transaction=True)
async def test_event_of_no_leg_of_ours_is_kept_for_operators(desk, post, quiet):
    body = told(desk, "v3:unknown", "call.answered", {})
    assert (await post(body)).status_code == 200
    assert (await post(body)).status_code == 200
    strays = await webhooks.run_unscoped(lambda: list(StrayEvent.objects.all()))
    assert [stray.kind for stray in strays] == ["call.answered"]


@pytest.mark.django_db(transaction=True)
async def test_carrier_is_asked_to_send_again_while_the_database_is_away(
    desk, post, quiet, monkeypatch
):
    def away(*_args):
        raise webhooks.DatabaseError("connection refused")

    monkeypatch.setattr(webhooks, "keep", away)
    assert (await post(told(desk, "v3:a", *BURST[0]))).status_code == 503


@pytest.mark.django_db(transaction=True)
async def test_only_post_is_answered(async_client, desk):
    assert (await async_client.get(PATH)).status_code == 405


async def rows(desk, model):
    return await webhooks.run_in_tenant(desk.tenant.id, lambda: list(model.objects.all()))


@pytest.mark.django_db(transaction=True)
def test_what_was_told_long_ago_is_forgotten_and_the_call_is_not(desk, other_desk):
    for each, leg in ((desk, "v3:old"), (desk, "v3:new"), (other_desk, "v3:theirs")):
        for event in burst(each, leg):
            take(each, event)
    long_ago = timezone.now() - timedelta(days=91)
    for each in (desk, other_desk):
        with tenant_transaction(each.tenant.id):
            CarrierEvent.objects.exclude(leg="v3:new").update(received_at=long_ago)
    assert tasks.forget_carrier_events() > 0
    with tenant_transaction(desk.tenant.id):
        assert set(CarrierEvent.objects.values_list("leg", flat=True)) == {"v3:new"}
        assert Leg.objects.filter(carrier_id="v3:old").exists()
    with tenant_transaction(other_desk.tenant.id):
        assert not CarrierEvent.objects.exists()


def test_simulated_account_is_the_installations_where_it_has_none(settings):
    keys = installation_keys("telnyx")
    assert keys["connection_id"] == simulated.CONNECTION_ID
    settings.TELNYX_API_KEY, settings.TELNYX_PUBLIC_KEY = "KEY1", "key"
    settings.TELNYX_CONNECTION_ID = "77"
    assert installation_keys("telnyx")["api_key"] == "KEY1"


@pytest.mark.parametrize(("name", "field"), [("telnyx", "API_KEY"), ("twilio", "AUTH_TOKEN")])
def test_only_the_installation_without_an_account_asks_a_simulated_carrier(settings, name, field):
    """A tenant's account is a real one, and invented keys are sent to nobody else."""
    assert api_url(name, installation=True).startswith("http://127.0.0.1:")
    assert api_url(name, installation=False) == ""
    setattr(settings, f"{name}_{field}".upper(), "a" * 32)
    assert api_url(name, installation=True) == ""
    setattr(settings, f"{name.upper()}_BASE_URL", "https://carrier.example")
    assert api_url(name, installation=False) == "https://carrier.example"
