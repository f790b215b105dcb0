"""Messages from the API to a carrier and back, and from a carrier to the API, for each carrier."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.utils import timezone

from calls import tasks
from calls.carriers.message_files import MOST_BYTES
from calls.models import CarrierEvent, DoNotCall, Message, MessageFile, Number, StrayEvent
from calls.simulator.small_http import File
from tenants.db import run_in_tenant, run_unscoped
from tests.calls.mailroom import WRITER, mailroom
from tests.calls.waiting import until
from tests.peers.faults import Fault
from tests.peers.telnyx import RudeCloud as AnyTelnyx
from tests.peers.twilio_cloud import RudeCloud as AnyTwilio

pytestmark = pytest.mark.django_db(transaction=True)

PICTURE = File("image/png", b"\x89PNG" + bytes(200_000))
SCOPES = ["messages.view", "messages.send"]


@pytest.fixture(params=["twilio", "telnyx"])
def carrier_name(request) -> str:
    return request.param


@pytest.fixture
async def room(carrier_name, desk, make_api_key, settings, monkeypatch, tmp_path, quiet):
    settings.MEDIA_ROOT = tmp_path
    bearer = await run_unscoped(make_api_key, desk.tenant, SCOPES)
    async with mailroom(carrier_name, desk, bearer, settings, monkeypatch) as opened:
        yield opened
        await until(lambda: not quiet._background)


# --- out ---------------------------------------------------------------------------------------


async def test_sms_goes_out_once_and_is_followed_until_it_has_arrived(room):
    answer = await room.asks(text="Su tour sale a las 9.", key="order-1")
    assert answer.status_code == 201, answer.content
    told = answer.json()
    assert (told["state"], told["direction"], told["kind"]) == ("queued", "outbound", "sms")
    assert (told["from_number"], told["to_number"]) == (room.desk.number, WRITER)
    message = await room.message(state="delivered")
    assert message.carrier_id
    assert message.sent_at <= message.delivered_at
    assert len(room.asked) == 1
    assert "Su tour sale a las 9." in str(room.asked)
    again = await room.asks(text="Su tour sale a las 9.", key="order-1")
    assert (again.status_code, again.json()["id"]) == (200, told["id"])
    shown = (await room.gets(f"/api/v1/messages/{told['id']}/")).json()
    assert (shown["state"], shown["error"]) == ("delivered", "")
    assert len(room.asked) == 1


async def test_whatsapp_is_answered_within_its_day_and_else_by_template_alone(room):
    refused = await room.asks(kind="whatsapp", text="Hola")
    assert refused.status_code == 409
    assert refused.json()["code"] == "whatsapp_window_closed"
    assert "24 hours" in refused.json()["detail"]
    assert "approved template" in refused.json()["detail"]
    template = await room.asks(
        kind="whatsapp", template="HX1" if room.carrier == "twilio" else "aviso/es_MX",
        template_values={"1": "Ana"},
    )  # fmt: skip
    assert template.status_code == 201, template.content
    await room.message(template__gt="", state="delivered")
    await room.is_written_to("¿Sigue el tour?", kind="whatsapp")
    received = await room.message(state="received")
    assert (received.kind, received.party, received.text) == (
        "whatsapp", WRITER, "¿Sigue el tour?",
    )  # fmt: skip
    assert (await room.asks(kind="whatsapp", text="Sí")).status_code == 201
    await room.message(text="Sí", state="delivered")
    await run_in_tenant(
        room.desk.tenant.id,
        lambda: Message.objects.filter(pk=received.pk).update(
            at=timezone.now() - timedelta(hours=24)
        ),
    )
    assert (await room.asks(kind="whatsapp", text="¿Hola?")).status_code == 409


async def test_message_to_nobody_fails_with_the_carriers_words(room):
    room.nobody_at(WRITER)
    await room.asks(text="Hola")
    message = await room.message(state="failed")
    assert message.error == {"twilio": "30003", "telnyx": "40001 Not routable"}[room.carrier]
    assert message.failed_at is not None
    assert message.delivered_at is None


async def test_statuses_that_come_twice_late_and_shuffled_end_in_the_same_row(room):
    room.cloud.hold()
    await room.asks(text="Hola")
    message = await room.message(state="sent")
    room.cloud.twice = True
    await until(lambda: len(room.cloud._held) == 2)
    room.cloud._held.reverse()
    await room.cloud.release(seed=3)
    assert (await room.message(state="delivered")).carrier_id == message.carrier_id
    assert room.statuses == [200] * 4
    await until(lambda: room.rows(CarrierEvent, applied_at__isnull=False))
    assert len(await room.rows(CarrierEvent)) == 2


async def test_message_whose_answer_was_lost_is_unknown_until_a_status_names_it(room):
    room.cloud.hold()
    room.cloud.faults.append(Fault(cut=True, late=True))
    await room.asks(text="Hola")
    message = await room.message(state="unknown")
    assert (message.carrier_id, len(room.asked)) == ("", 1)
    later = timezone.now() + timedelta(hours=1)
    await run_in_tenant(room.desk.tenant.id, tasks.messages_waiting, now=later)
    await run_unscoped(tasks.sweep_messages)
    assert len(room.asked) == 1
    await room.cloud.release(seed=1)
    assert (await room.message(state="delivered")).carrier_id
    assert len(room.asked) == 1


async def test_refusal_is_final_and_says_why(room):
    room.cloud.faults.append(Fault(status=400, code="21211"))
    await room.asks(text="Hola")
    message = await room.message(state="failed")
    assert "21211" in message.error
    assert len(room.asked) <= 1


async def test_message_that_comes_too_fast_is_sent_later(room, monkeypatch):
    room.cloud.faults.append(Fault(status=429, code="20429", headers={"retry-after": "60"}))
    await room.asks(text="Hola")
    (waiting,) = await until(
        lambda: room.rows(Message, state="queued", claimed_at=None, attempts=1)
    )
    assert waiting.due_at > timezone.now() + timedelta(seconds=50)
    await run_unscoped(tasks.sweep_messages)
    assert await room.rows(Message, state="queued")
    later = timezone.now() + timedelta(minutes=5)
    due = await run_in_tenant(room.desk.tenant.id, tasks.messages_waiting, now=later)
    assert due == [waiting.pk]
    await run_unscoped(tasks.send_message, room.desk.tenant.id, waiting.pk)
    await room.message(state="delivered", attempts=2)


# --- in ----------------------------------------------------------------------------------------


async def test_message_that_comes_twice_is_stored_once_with_what_came_along(room, make_api_key):
    room.cloud.twice = True
    await room.is_written_to("Mire", files=[PICTURE])
    message = await room.message(state="received")
    assert (message.direction, message.party, message.own_number) == (
        "inbound", WRITER, room.desk.number,
    )  # fmt: skip
    (number,) = await room.rows(Number)
    assert message.number_id == number.pk
    (file,) = await until(lambda: room.rows(MessageFile, state="ready"))
    assert (file.content_type, file.size_bytes) == ("image/png", len(PICTURE.content))
    assert len(await room.rows(Message)) == len(await room.rows(CarrierEvent)) == 1
    (shown,) = (await room.gets("/api/v1/messages/?direction=inbound")).json()["results"]
    (media,) = shown["media"]
    fetched = await room.gets(urlsplit(media["url"]).path)
    assert b"".join(fetched.streaming_content) == PICTURE.content
    assert fetched.headers["content-disposition"] == "attachment"
    assert fetched.headers["x-content-type-options"] == "nosniff"


async def test_what_came_along_is_nobody_elses(room, other_tenant, make_api_key):
    await room.is_written_to("Mire", files=[PICTURE])
    (file,) = await until(lambda: room.rows(MessageFile, state="ready"))
    message = await room.message(state="received")
    theirs = await run_unscoped(make_api_key, other_tenant, SCOPES)
    path = f"/api/v1/messages/{message.public_id}/media/{file.place}/"
    assert (await room.gets(path)).status_code == 200
    assert (await room.gets(path, bearer=theirs)).status_code == 404
    assert (await room.gets("/api/v1/messages/", bearer=theirs)).json()["results"] == []


@pytest.mark.parametrize(
    ("file", "why"),
    [
        (File("text/html", b"<script>"), "text/html is not taken"),
        (File("image/svg+xml", b"<svg/>"), "is not taken"),
        (File("image/png", bytes(MOST_BYTES + 1)), "larger"),
    ],
)
async def test_file_of_a_kind_or_size_that_is_not_taken_is_left_there(room, file, why, settings):
    await room.is_written_to("Mire", files=[file])
    (missing,) = await until(lambda: room.rows(MessageFile, state="missing"))
    assert why in missing.fault
    assert [path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()] == []


async def test_file_that_cannot_be_had_now_is_asked_for_again(room, monkeypatch):
    file = File("image/png", b"png")
    room.cloud.faults.append(Fault(status=503))
    await room.is_written_to("Mire", files=[file])
    (waiting,) = await until(lambda: room.rows(MessageFile, state="waiting", fault__gt=""))
    later = timezone.now() + timedelta(minutes=5)
    found = await run_in_tenant(room.desk.tenant.id, tasks.message_files_waiting, now=later)
    assert found == [waiting.pk]
    await run_unscoped(tasks.fetch_message_file, room.desk.tenant.id, waiting.pk)
    await until(lambda: room.rows(MessageFile, state="ready"))


async def test_who_asks_for_no_more_is_neither_written_to_nor_called(room):
    await room.is_written_to(" Baja. ")
    (entry,) = await until(lambda: room.rows(DoNotCall))
    assert (entry.number, entry.source) == (WRITER, "written")
    refused = await room.asks(text="Oferta")
    assert (refused.status_code, refused.json()["code"]) == (409, "do_not_call")
    assert room.asked == []
    await room.is_written_to("Alta")
    told = await room.message(direction="outbound", state="delivered")
    assert "Responda BAJA" in told.text
    assert await room.rows(DoNotCall) == []


async def test_message_to_a_number_that_was_not_entered_is_kept_all_the_same(room):
    await room.is_written_to("Hola", to="+525599990000")
    message = await room.message(state="received")
    assert (message.number_id, message.own_number) == (None, "+525599990000")


# --- whose it is -------------------------------------------------------------------------------


async def test_forged_webhook_is_refused_and_changes_nothing(room):
    await room.asks(text="Hola")
    before = await room.message(state="delivered")
    path = f"/{before.public_id}"
    server = room.url
    if room.carrier == "telnyx":
        forger = AnyTelnyx(server, room.cloud.webhook_url.removeprefix(server))
        await forger.write(to=room.desk.number, writer=WRITER, text="STOP")
        payload = {"id": before.carrier_id, "to": [{"status": "delivery_failed"}]}
        url = f"{server}/api/v1/telnyx/messages{path}"
        await forger.post_event("message.finalized", payload, url)
    else:
        forger = AnyTwilio(server, room.cloud.hooks.removeprefix(server), "x" * 32)
        await forger.write(to=room.desk.number, writer=WRITER, text="STOP")
        form = {"MessageSid": before.carrier_id, "MessageStatus": "failed"}
        await forger.tell(f"{server}/api/v1/twilio/messages{path}/message-status", form)
    assert [told[-1] for told in forger.delivered] == [403, 403]
    await forger._close()
    assert [row.state for row in await room.rows(Message)] == ["delivered"]
    assert await room.rows(DoNotCall) == []
    assert (
        await room.rows(CarrierEvent, kind__contains="finalized", payload__to__0__status="x") == []
    )


async def test_installations_account_serves_whoever_has_the_number(
    carrier_name, desk, other_desk, make_api_key, settings, monkeypatch, quiet
):
    bearer = await run_unscoped(make_api_key, desk.tenant, SCOPES)
    async with mailroom(carrier_name, desk, bearer, settings, monkeypatch, own=False) as room:
        await room.is_written_to("Hola")
        assert (await room.message(state="received")).account_id is None
        await room.is_written_to("Hello", to=other_desk.number)
        theirs = await until(
            lambda: run_in_tenant(other_desk.tenant.id, lambda: list(Message.objects.all()))
        )
        assert [row.text for row in theirs] == ["Hello"]
        await room.is_written_to("¿Hay alguien?", to="+525599990000")
        (stray,) = await until(lambda: run_unscoped(lambda: list(StrayEvent.objects.all())))
        assert "¿Hay alguien?" in str(stray.payload)
        assert len(await room.rows(Message)) == 1
        assert (await room.asks(text="Buenas")).status_code == 201
        await room.message(state="delivered")
        await until(lambda: not quiet._background)


async def test_another_tenants_number_is_not_reached_through_an_account(room, other_desk):
    await room.is_written_to("Hello", to=other_desk.number)
    message = await room.message(state="received")
    assert message.number_id is None
    theirs = await run_in_tenant(other_desk.tenant.id, Message.objects.count)
    assert theirs == 0


async def test_switched_off_account_neither_sends_nor_receives(room):
    def switch_off():
        number = Number.objects.select_related("account").get(e164=room.desk.number)
        number.account.is_active = False
        number.account.save()

    await run_in_tenant(room.desk.tenant.id, switch_off)
    assert (await room.asks(text="Hola")).json()["code"] == "cannot_send"
    await room.is_written_to("Hola")
    assert room.statuses == [403]
    assert await room.rows(Message) == []
