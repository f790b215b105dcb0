"""Messages of ours: what may be asked for, once per key, and how their state goes on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from calls import tasks
from calls.models import DoNotCall, Message, Number
from calls.opt_out import wants_no_more
from calls.providers.carriers.letters import letter_picture
from calls.providers.carriers.signals import MessageMoved, MessageState
from calls.providers.carriers.telnyx.webhooks import event
from calls.services.carrier_events import event_store
from calls.services.message_orders import (
    MOST_ATTEMPTS,
    message_claim,
    message_follow,
    message_postponed,
    message_refused,
    message_taken,
    messages_waiting,
)
from calls.services.message_signals import message_apply
from tenants.db import tenant_transaction
from tenants.middleware import OPERATOR_TENANT
from tenants.models import AuditEntry
from tests.conftest import log_in
from tests.rows import make_row

SOMEBODY = "+525598765432"
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def sent(monkeypatch) -> list[int]:
    """The messages that a worker was asked to send, instead of sending them."""
    found: list[int] = []
    monkeypatch.setattr(tasks.send_message, "delay", lambda _tenant, pk: found.append(pk))
    return found


@pytest.fixture
def ask(client, make_api_key, desk, sent):
    """Ask for a message over HTTP: `ask(text=…, key=…)`; None leaves a field out."""
    with tenant_transaction(desk.tenant.id):
        Number.objects.filter(e164=desk.number).update(carrier="telnyx")
    api_key = make_api_key(desk.tenant, ["messages.view", "messages.send"])

    def post(key=None, bearer=api_key, **fields):
        asked = {"kind": "sms", "from_number": desk.number, "to_number": SOMEBODY, "text": "Hola"}
        asked = {name: value for name, value in {**asked, **fields}.items() if value is not None}
        headers = {"authorization": f"Bearer {bearer}"}
        if key is not None:
            headers["idempotency-key"] = key
        return client.post(
            "/api/v1/messages/", asked, content_type="application/json", headers=headers
        )

    return post


def count(desk) -> int:
    with tenant_transaction(desk.tenant.id):
        return Message.objects.count()


# --- what may be asked for ---------------------------------------------------------------------


@pytest.mark.django_db
def test_the_same_key_writes_once_and_other_content_is_a_conflict(
    ask, desk, sent, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        first, again, other = ask(key="k"), ask(key="k"), ask(key="k", text="Otra")
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert first.json()["id"] == again.json()["id"]
    assert other.json()["code"] == "idempotency_conflict"
    with tenant_transaction(desk.tenant.id):
        (message,) = Message.objects.all()
        assert AuditEntry.objects.filter(action="message.created").count() == 1
    assert sent == [message.pk]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("to_number", {"to_number": "5598765432"}),
        ("to_number", {"to_number": "+34555010001"}),
        ("from_number", {"from_number": "+525512349999"}),
        ("kind", {"kind": "rcs"}),
        ("text", {"text": None}),
        ("text", {"text": "x" * 1601}),
        ("text", {"text": "a\u0000b"}),
        ("media", {"media": ["http://h.example/a.png"]}),
        ("media", {"media": ["https://h.example/a.png"] * 11}),
        ("media", {"kind": "whatsapp", "media": ["https://h.example/a.png"] * 2}),
        ("template", {"template": "HX1", "text": None}),
        ("template", {"kind": "whatsapp", "template": "HX1"}),
        ("template_values", {"kind": "whatsapp", "template_values": {"1": "Ana"}}),
        ("template_values", {"template_values": {"\x00": "Ana"}}),
        ("template_values", {"template_values": {"x" * 100: "Ana"}}),
        ("template_values", {"template_values": {str(each): "x" for each in range(101)}}),
    ],
)
def test_what_cannot_be_asked_for_is_refused_at_its_field(ask, desk, field, fields):
    answer = ask(**fields)
    assert answer.status_code == 400
    assert field in answer.json()
    assert count(desk) == 0


@pytest.mark.django_db
def test_why_a_message_is_refused_is_told_in_the_askers_language(ask, client):
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "es"
    assert ask(template="HX1").json() == {"template": ["Solo WhatsApp tiene plantillas."]}


@pytest.mark.django_db
def test_nobody_writes_without_the_scope_or_from_anothers_number(
    ask, desk, other_desk, make_api_key
):
    assert ask(bearer=make_api_key(desk.tenant, ["messages.view"])).status_code == 403
    assert ask(from_number=other_desk.number).status_code == 400
    assert count(desk) == count(other_desk) == 0


@pytest.mark.django_db
def test_who_does_not_want_to_be_called_is_not_written_to_either(ask, desk, sent):
    queued = ask()
    with tenant_transaction(desk.tenant.id):
        DoNotCall.objects.create(number=SOMEBODY)
    assert ask().json()["code"] == "do_not_call"
    with tenant_transaction(desk.tenant.id):
        message = Message.objects.get(public_id=queued.json()["id"])
        assert message_claim(message_id=message.pk) is None  # asked before, and not sent yet
        message.refresh_from_db()
        assert (message.state, message.attempts) == ("failed", 1)


# --- on its way --------------------------------------------------------------------------------


@pytest.fixture
def queued(in_tenant):
    def make(carrier="twilio", kind="sms", **fields):
        return make_row(
            Message, direction="outbound", state="queued", carrier=carrier, kind=kind,
            party=SOMEBODY, due_at=NOON, at=NOON, **fields,
        )  # fmt: skip

    return make


def test_a_message_is_claimed_once(queued):
    message = queued()
    claimed = message_claim(message_id=message.pk)
    assert claimed is not None
    assert claimed.outgoing.command_id == message.public_id
    assert str(message.public_id) in claimed.outgoing.signals_url
    assert message_claim(message_id=message.pk) is None


@pytest.mark.parametrize(
    ("carrier", "kind", "state"),
    [
        ("twilio", "sms", "unknown"),
        ("twilio", "whatsapp", "unknown"),
        ("telnyx", "sms", "unknown"),
        ("telnyx", "whatsapp", "queued"),  # its request carries a key
    ],
)
def test_worker_that_dies_leaves_a_message_that_is_not_sent_twice(queued, carrier, kind, state):
    message = queued(carrier, kind)
    message_claim(message_id=message.pk)
    now = timezone.now()
    assert messages_waiting(now=now) == []
    again = messages_waiting(now=now + timedelta(minutes=2))
    message.refresh_from_db()
    assert message.state == state
    assert again == ([message.pk] if state == "queued" else [])


def test_message_that_nobody_was_told_of_is_found(queued):
    message = queued()
    assert messages_waiting(now=NOON + timedelta(seconds=3)) == []
    assert messages_waiting(now=NOON + timedelta(seconds=6)) == [message.pk]


def test_putting_off_ends(queued):
    message = queued()
    for _ in range(MOST_ATTEMPTS):
        assert message_claim(message_id=message.pk) is not None
        message_postponed(message_id=message.pk, error="too fast")
    message.refresh_from_db()
    assert (message.state, message.error) == ("failed", "too fast")
    assert message_claim(message_id=message.pk) is None


def test_a_late_answer_takes_nothing_back(queued):
    message = queued()
    message_claim(message_id=message.pk)
    message_follow(message=message, seen=letter_picture([moved(MessageState.READ)]))
    message_taken(message_id=message.pk, carrier_id="SM1")
    message_refused(message_id=message.pk, error="no")
    message.refresh_from_db()
    assert (message.state, message.carrier_id, message.error) == ("read", "SM1", "")


def moved(state, second=0, error=""):
    return MessageMoved(
        event_id=f"{state}-{second}-{error}",
        leg="",
        at=NOON + timedelta(seconds=second),
        message_id="SM1",
        state=state,
        error=error,
    )


SIGNALS = st.builds(
    moved,
    st.sampled_from(MessageState),
    st.integers(0, 5),
    st.sampled_from(["", "30003", "30005"]),
)


@given(st.lists(SIGNALS, max_size=8), st.randoms(use_true_random=False))
def test_statuses_in_any_order_and_more_than_once_make_one_picture(signals, chance):
    told = [*signals, *signals[:3]]
    chance.shuffle(told)
    assert letter_picture(told) == letter_picture(signals)


@pytest.mark.parametrize("seed", range(6))
def test_statuses_one_after_the_other_make_the_row_that_all_at_once_make(queued, seed):
    import random

    signals = [
        moved(MessageState.FAILED, 3, "30003"),
        moved(MessageState.FAILED, 2, "30005"),
        moved(MessageState.SENT, 1),
        *([moved(MessageState.DELIVERED, 4)] if seed % 2 else []),
    ]
    random.Random(seed).shuffle(signals)
    one_by_one, at_once = queued(), queued()
    for number in range(len(signals)):
        message_follow(message=one_by_one, seen=letter_picture(signals[: number + 1]))
    message_follow(message=at_once, seen=letter_picture(signals))
    rows = []
    for row in (one_by_one, at_once):
        row.refresh_from_db()
        rows.append((row.state, row.error, row.sent_at, row.failed_at, row.delivered_at))
    assert rows[0] == rows[1]
    assert rows[0][:2] == (("delivered", "") if seed % 2 else ("failed", "30005"))


@pytest.mark.parametrize(
    ("kind", "text", "wants"),
    [
        ("sms", "STOP", True),
        ("whatsapp", "stop.", True),
        ("whatsapp", " ¡Baja! ", True),
        ("whatsapp", "Dar de   baja", True),
        ("sms", "Cancelar", True),
        ("whatsapp", "Cancelar", False),  # perhaps a booking
        ("sms", "Stop by at nine", False),
        ("sms", "", False),
        ("sms", "🙂", False),
    ],
)
def test_opting_out_takes_a_word_of_its_own(kind, text, wants):
    assert wants_no_more(kind, text) is wants


@pytest.mark.django_db
def test_stop_from_a_short_code_is_kept_and_concerns_nobody(desk):
    body = {"data": {
        "event_type": "message.received", "id": "e1", "occurred_at": NOON.isoformat(),
        "payload": {
            "id": "m1", "type": "SMS", "text": "STOP", "from": {"phone_number": "+22395"},
            "to": [{"phone_number": desk.number}],
        },
    }}  # fmt: skip
    with tenant_transaction(desk.tenant.id):
        event_store(carrier_name="telnyx", event=event(json.dumps(body).encode()))
        message_apply(carrier_name="telnyx", carrier_id="m1")
        assert Message.objects.get().party == "+22395"
        assert not DoNotCall.objects.exists()


@pytest.mark.django_db
def test_a_list_with_nobody_is_asked_for_by_nonsense(client, make_api_key, desk):
    headers = {"authorization": f"Bearer {make_api_key(desk.tenant, ['messages.view'])}"}
    answer = client.get("/api/v1/messages/?with=%2B52%00%ff", headers=headers)
    assert (answer.status_code, answer.json()["results"]) == (200, [])


def test_back_office_shows_messages_and_lets_nobody_change_them(client, operator, tenant):
    with tenant_transaction(tenant.id):
        message = make_row(Message, text="¿Sigue el tour?", party=SOMEBODY, at=NOON)
    log_in(client, operator)
    session = client.session
    session[OPERATOR_TENANT] = tenant.pk
    session.save()
    listed = client.get(reverse("admin:calls_message_changelist"))
    assert "¿Sigue el tour?" in listed.content.decode()
    page = client.get(reverse("admin:calls_message_change", args=[message.pk]))
    assert page.status_code == 200
    assert b'name="_save"' not in page.content
    assert client.get(reverse("admin:calls_message_add")).status_code == 403
