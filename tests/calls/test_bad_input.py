"""Bad input on the media sockets: it costs that call at most, never another, and leaves nothing."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from django.utils import timezone

from calls import consumers
from calls.carriers.tokens import stream_token
from calls.line import conduct
from calls.models import Call, CallEvent, Command
from calls.providers.carriers.socket import Limits
from calls.providers.carriers.twilio.carrier import CARRIER as TWILIO
from calls.services.lines import SILENT_AFTER, lines_sweep
from config.asgi import application
from tenants.db import run_in_tenant
from tests.calls.conftest import ring_form, staff_desk
from tests.calls.phone import QUICK, Phone, on_a_script
from tests.calls.sockets import SILENT, connected, media
from tests.calls.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

SID = "CA" + "1" * 32
OTHER = "CA" + "2" * 32
TURNS = {**QUICK, "send_timeout": 500}


@pytest.fixture(autouse=True)
def scripted(monkeypatch, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    on_a_script(monkeypatch)


@pytest.fixture
def desk(tenant):
    transcriber = {"provider": "embedded", "languages": ["es-MX"], "turns": TURNS}
    return staff_desk(tenant, "+525512340001", transcriber=transcriber)


@pytest.fixture
def other_desk(other_tenant):
    transcriber = {"provider": "embedded", "languages": ["en-US"], "turns": TURNS}
    return staff_desk(other_tenant, "+14155550002", language="en", transcriber=transcriber)


@pytest.fixture
def token_of(ring):
    async def announce(desk, call_sid=SID):
        response = await ring(desk.number, call_sid)
        root = ElementTree.fromstring(response.content)  # noqa: S314 - our own answer
        return root.find("Connect/Stream/Parameter").get("value")

    return announce


@pytest.fixture
async def bystander(other_desk, token_of, quiet):
    """Another tenant's call, which has to go on whatever the test does to its own."""
    phone = Phone(application)
    phone.start(OTHER, await token_of(other_desk, OTHER))
    await phone.hears()
    yield phone
    heard = len(phone.socket.sent)
    phone.talk(400)
    phone.talk(400, aloud=False)
    await until(lambda: len(phone.socket.sent) > heard)
    phone.stop()
    assert (await phone.over())["code"] == 1000
    await quiet.writer.drained(5)
    (call,) = await rows(other_desk, Call)
    assert call.end_reason == "caller_hung_up"


async def rows(desk, model, **filters):
    return await run_in_tenant(desk.tenant.id, lambda: list(model.objects.filter(**filters)))


async def dialled(desk, token_of):
    phone = Phone(application)
    phone.start(SID, await token_of(desk))
    await phone.hears()
    return phone


async def ending(desk, quiet):
    """How the desk's call ended, and what is on record about its media."""
    await until(lambda: rows(desk, Call, state="ended"))
    (call,) = await rows(desk, Call)
    return call.end_reason, await media_events(desk)


async def media_events(desk):
    events = await rows(desk, CallEvent, name__startswith="media_")
    return {event.name: event.data for event in events}


async def waits_for_a_stream(desk):
    """The desk's call has lost its sound, and its leg is still there."""
    return await until(lambda: rows(desk, Call, state="live", media_lost_at__isnull=False))


@pytest.fixture
def asks(post, quiet):
    """Twilio asks what comes after the desk's first stream; its answer's root."""

    async def ask(desk, status="in-progress"):
        (call,) = await waits_for_a_stream(desk)
        path = f"/api/v1/twilio/calls/{call.public_id}/after-stream?after=1"
        answer = await post(path, ring_form(desk.number, SID, CallStatus=status))
        await until(lambda: not quiet._background)
        return ElementTree.fromstring(answer.content)  # noqa: S314 - our own answer

    return ask


async def nobody_asks(desk):
    """Twilio says nothing any more: the sweeper's next round after the time it has for that."""
    await waits_for_a_stream(desk)
    late = timezone.now() + SILENT_AFTER
    assert await run_in_tenant(desk.tenant.id, lines_sweep, now=late) == 1
    (order,) = await rows(desk, Command)
    assert order.kind == Command.Kind.SAY


# --- before the call ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    ["", "forged", stream_token(uuid.uuid4())],
    ids=["none", "forged", "of no call"],  # the same in every process that collects
)
async def test_stream_without_a_good_token_is_refused(desk, bystander, token):
    phone = Phone(application)
    phone.start(SID, token)
    assert (await phone.over())["code"] == 4401


async def test_stream_with_an_old_token_is_refused(desk, token_of, bystander, monkeypatch):
    token = await token_of(desk)
    monkeypatch.setattr(
        "calls.carriers.tokens.signing.time.time", lambda: timezone.now().timestamp() + 999
    )
    phone = Phone(application)
    phone.start(SID, token)
    assert (await phone.over())["code"] == 4401


async def test_stream_of_another_call_cannot_use_the_token(desk, token_of, bystander):
    phone = Phone(application)
    phone.start("CA" + "9" * 32, await token_of(desk))
    assert (await phone.over())["code"] == 4401
    (call,) = await rows(desk, Call)
    assert call.state == "ringing"


async def test_stream_of_another_account_is_refused(desk, token_of, quiet, settings):
    settings.TWILIO_ACCOUNT_SID = "AC" + "7" * 32
    phone = Phone(application)
    phone.start(SID, await token_of(desk))
    assert (await phone.over())["code"] == 4401


async def test_second_socket_for_a_token_is_refused(desk, token_of, bystander, quiet):
    token = await token_of(desk)
    first, second = Phone(application), Phone(application)
    first.start(SID, token)
    await first.hears()
    second.start(SID, token)
    assert (await second.over())["code"] == 4401
    assert not first.task.done()
    first.stop()
    await first.over()
    third = Phone(application)
    third.start(SID, token)
    assert (await third.over())["code"] == 4401
    assert (await ending(desk, quiet))[0] == "caller_hung_up"


async def test_simultaneous_sockets_for_a_token_make_one_call(desk, token_of, quiet):
    token = await token_of(desk)
    phones = [Phone(application) for _ in range(5)]
    for phone in phones:
        phone.start(SID, token)
    await until(lambda: sum(phone.task.done() for phone in phones) == 4)
    (winner,) = [phone for phone in phones if not phone.task.done()]
    assert {phone.socket.close["code"] for phone in phones if phone is not winner} == {4401}
    winner.stop()
    await winner.over()


async def test_missing_start_closes_the_socket(desk, bystander):
    route = consumers.StreamConsumer.as_asgi(door=TWILIO.media, limits=Limits(start_seconds=0.05))
    phone = Phone(route)
    phone.socket.put(connected())
    close = await phone.over()
    assert (close["code"], close["reason"]) == (4408, "missing_start")


async def test_media_without_a_start_closes_the_socket(desk, bystander):
    phone = Phone(application)
    phone.socket.put(connected())
    phone.socket.put(media("0"))
    assert (await phone.over())["reason"] == "missing_start"


@pytest.mark.parametrize("garbage", ["{", b"\x00\x01", "[]", '{"event":"start"}'])
async def test_endless_garbage_before_the_start_closes_the_socket(garbage, quiet, db):
    phone = Phone(application)
    for _ in range(50):
        phone.socket.put(garbage)
    assert (await phone.over())["reason"] == "missing_start"


async def test_wrong_sample_rate_closes_the_call_with_a_reason(desk, token_of, bystander, quiet):
    phone = Phone(application)
    phone.start(SID, await token_of(desk), rate=16000)
    close = await phone.over()
    assert (close["code"], close["reason"]) == (4415, "wrong_format")
    reason, about = await ending(desk, quiet)
    assert reason == "failed"
    assert "16000 Hz" in about["media_fault"]["detail"]


async def test_draining_server_opens_no_socket(desk, token_of, quiet):
    token = await token_of(desk)
    quiet.draining = True
    phone = Phone(application)
    phone.start(SID, token)
    assert (await phone.over())["code"] == 4429
    (call,) = await rows(desk, Call)
    assert call.state == "ringing"


async def test_socket_to_nowhere_is_closed(quiet):
    phone = Phone(application, "/api/v1/ws/elsewhere")
    assert (await phone.over())["code"] == 4404


async def test_other_side_that_goes_before_the_start_is_no_trouble(quiet):
    phone = Phone(application)
    phone.socket.disconnect(1006)
    assert await phone.over() is None


# --- during the call ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("garbage", "fault", "code"),
    [
        ("{", "malformed", 4400),
        ('{"event":"media","media":{"payload":"***"}}', "malformed", 4400),
        (b"\x00" * 160, "binary", 4415),
    ],
    ids=["malformed JSON", "no base64", "binary frames"],
)
async def test_garbage_is_overlooked_a_few_times_and_then_costs_the_stream(
    desk, token_of, asks, bystander, quiet, garbage, fault, code
):
    phone = await dialled(desk, token_of)
    for _ in range(10):
        phone.socket.put(garbage)
    phone.talk(200, aloud=False)
    await asyncio.sleep(0.1)
    assert not phone.task.done()
    phone.socket.put(garbage)
    close = await phone.over()
    assert (close["code"], close["reason"]) == (code, fault)
    assert (await asks(desk, "completed")).find("Hangup") is not None  # the caller is gone as well
    reason, about = await ending(desk, quiet)
    assert reason == "caller_hung_up"
    assert about["media_fault"]["fault"] == fault


async def test_oversized_payload_costs_the_stream(desk, token_of, bystander, quiet):
    phone = await dialled(desk, token_of)
    phone.socket.put(media("0", SILENT * 1000))
    close = await phone.over()
    assert (close["code"], close["reason"]) == (4413, "oversized")
    await nobody_asks(desk)
    assert (await ending(desk, quiet))[0] == "media_lost"


async def test_flood_of_sound_ends_the_call(desk, token_of, bystander, quiet):
    phone = await dialled(desk, token_of)
    for _ in range(500):
        phone.socket.put(media(None, SILENT))
    assert (await phone.over())["reason"] == "flood"


async def test_media_after_stop_is_not_heard(desk, token_of, bystander, quiet):
    phone = await dialled(desk, token_of)
    phone.socket.put({"event": "stop", "stop": {}})
    phone.talk(400)
    assert (await phone.over())["code"] == 1000
    reason, _ = await ending(desk, quiet)
    assert reason == "caller_hung_up"
    assert await rows(desk, CallEvent, name="transcript_final") == []


async def test_absent_and_out_of_order_chunks_are_noted_and_the_call_goes_on(
    desk, token_of, bystander, quiet
):
    phone = await dialled(desk, token_of)
    for timestamp in (0, 20, 120, 80, 100, 140):
        phone.socket.put(media(str(timestamp)))
    await asyncio.sleep(0.1)
    assert not phone.task.done()
    phone.stop()
    await phone.over()
    reason, about = await ending(desk, quiet)
    assert reason == "caller_hung_up"
    assert about["media_figures"] == {"lost_ms": 80, "late": 2, "malformed": 0}


async def test_socket_that_stops_reading_loses_its_stream(
    desk, token_of, bystander, quiet, monkeypatch
):
    monkeypatch.setattr(conduct, "CLOSE_SECONDS", 0.05)
    phone = await dialled(desk, token_of)
    phone.socket.stop_reading()
    phone.talk(400)
    phone.talk(400, aloud=False)
    await phone.over()
    await nobody_asks(desk)
    assert (await ending(desk, quiet))[0] == "media_lost"


async def test_socket_that_vanishes_is_replaced_by_another(desk, token_of, asks, bystander, quiet):
    phone = await dialled(desk, token_of)
    phone.socket.disconnect(1006)
    await phone.over()
    root = await asks(desk)
    again = Phone(application)
    again.start(SID, root.find("Connect/Stream/Parameter").get("value"))
    await again.hears()
    again.stop()
    await again.over()
    assert (await ending(desk, quiet))[0] == "caller_hung_up"


async def test_server_that_cuts_the_application_off_still_closes_the_call(
    desk, token_of, bystander, quiet
):
    phone = await dialled(desk, token_of)
    phone.task.cancel()
    await asyncio.wait({phone.task})
    await nobody_asks(desk)
    assert (await ending(desk, quiet))[0] == "media_lost"


async def test_defect_in_building_a_call_ends_that_call(
    desk, token_of, bystander, quiet, monkeypatch
):
    def broken(*_args, **_kwargs):
        raise RuntimeError("a defect")

    monkeypatch.setattr("calls.line.setup.build_mind", broken)
    phone = Phone(application)
    phone.start(SID, await token_of(desk))
    assert (await phone.over())["reason"] == "internal_error"
    assert (await ending(desk, quiet))[0] == "internal_error"


async def test_call_that_rang_too_long_ago_is_not_answered(desk, token_of, quiet):
    token = await token_of(desk)
    old = timezone.now() - timedelta(hours=1)
    await run_in_tenant(
        desk.tenant.id,
        lambda: Call.objects.update(
            started_at=old, state="ended", ended_at=old, end_reason="cancelled"
        ),
    )
    phone = Phone(application)
    phone.start(SID, token)
    assert (await phone.over())["code"] == 4401
