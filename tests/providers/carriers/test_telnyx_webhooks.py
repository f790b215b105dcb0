"""What Telnyx's webhooks become, and which of them are believed."""

from __future__ import annotations

import base64
import itertools
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from calls.providers.carriers.legs import LegState, picture
from calls.providers.carriers.signals import (
    Answered,
    Answerer,
    Bridged,
    Detected,
    EndCause,
    Ended,
    KeysPressed,
    MessageKind,
    MessageMoved,
    MessageReceived,
    MessageState,
    RecordingFailed,
    RecordingReady,
    Ringing,
    StreamStarted,
    StreamStopped,
)
from calls.providers.carriers.telnyx.signature import sign
from calls.providers.carriers.telnyx.webhooks import (
    MalformedWebhook,
    NotSigned,
    event,
    read,
    verify,
)
from tests.providers.carriers.telnyx_said import webhook

NOW = 1_763_632_800.0
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
AT = datetime(2026, 11, 20, 10, tzinfo=UTC)


def only(body: bytes):
    (signal,) = read(body)
    return signal


# --- whether it is Telnyx ----------------------------------------------------------------


def test_signed_webhook_is_believed():
    verify(sign(b"{}", private_key=KEY, now=NOW), b"{}", public_key=PUBLIC, now=NOW)


def test_names_of_headers_may_be_written_anyhow():
    headers = {name.title(): value for name, value in sign(b"x", private_key=KEY, now=NOW).items()}
    verify(headers, b"x", public_key=PUBLIC, now=NOW)


@pytest.mark.parametrize("apart", [-300, 300])
def test_five_minutes_on_either_side_are_allowed(apart):
    headers = sign(b"x", private_key=KEY, now=NOW)
    verify(headers, b"x", public_key=PUBLIC, now=NOW + apart)


@pytest.mark.parametrize("apart", [-301, 301, 10**9])
def test_older_and_future_webhooks_are_refused(apart):
    headers = sign(b"x", private_key=KEY, now=NOW)
    with pytest.raises(NotSigned, match="five minutes"):
        verify(headers, b"x", public_key=PUBLIC, now=NOW + apart)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"telnyx-timestamp": ""}, "no telnyx-timestamp"),
        ({"telnyx-signature-ed25519": ""}, "no telnyx-signature"),
        ({"telnyx-signature-ed25519": "***"}, "no base64"),
        ({"telnyx-signature-ed25519": base64.b64encode(bytes(64)).decode()}, "not of this body"),
        ({"telnyx-signature-ed25519": base64.b64encode(bytes(3)).decode()}, "not of this body"),
        ({"telnyx-timestamp": str(int(NOW) + 1)}, "not of this body"),
        ({"telnyx-timestamp": "now"}, "no number"),
        ({"telnyx-timestamp": "²"}, "no number"),
        ({"telnyx-timestamp": "9" * 400}, "no number"),
        ({"telnyx-timestamp": "9" * 5000}, "no number"),
    ],
)
def test_forged_headers_are_refused(change, why):
    headers = {**sign(b"x", private_key=KEY, now=NOW), **change}
    with pytest.raises(NotSigned, match=why):
        verify(headers, b"x", public_key=PUBLIC, now=NOW)


def test_another_body_and_another_key_are_refused():
    headers = sign(b'{"a":1}', private_key=KEY, now=NOW)
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    with pytest.raises(NotSigned):
        verify(headers, b'{"a": 1}', public_key=PUBLIC, now=NOW)
    with pytest.raises(NotSigned):
        verify(headers, b'{"a":1}', public_key=other, now=NOW)


# --- a leg's life ------------------------------------------------------------------------


def test_incoming_call_rings():
    state = base64.b64encode(b'{"c":"123"}').decode()
    body = webhook(
        "call.initiated", direction="incoming", client_state=state,
        **{"from": "+491701234567", "to": "+4930123456"},
    )  # fmt: skip
    assert only(body) == Ringing(
        event_id="e-1", leg="v3:leg", at=AT, incoming=True, from_number="+491701234567",
        to_number="+4930123456", session="6f1c1d2e-0000-0000-0000-0000000000ff",
        client_state='{"c":"123"}',
    )  # fmt: skip


def test_outgoing_call_rings_without_a_state_of_ours():
    ringing = only(webhook("call.initiated", direction="outgoing", client_state="not base64!"))
    assert (ringing.incoming, ringing.client_state) == (False, "")


def test_answer_bridge_and_streams_are_told():
    assert isinstance(only(webhook("call.answered")), Answered)
    assert isinstance(only(webhook("call.bridged")), Bridged)
    assert isinstance(only(webhook("streaming.started", stream_url="wss://h")), StreamStarted)
    assert only(webhook("streaming.stopped")).failure == ""
    failed = only(webhook("streaming.failed", failure_reason="connection_failed"))
    assert isinstance(failed, StreamStopped)
    assert failed.failure == "connection_failed"
    assert only(webhook("streaming.failed")).failure == "streaming.failed"


@pytest.mark.parametrize(
    ("word", "sip", "cause"),
    [
        ("normal_clearing", "200", EndCause.COMPLETED),
        ("time_limit", "unspecified", EndCause.COMPLETED),
        ("user_busy", "486", EndCause.BUSY),
        ("no_answer", "480", EndCause.NO_ANSWER),
        ("timeout", "unspecified", EndCause.NO_ANSWER),
        ("call_rejected", "603", EndCause.REJECTED),
        ("originator_cancel", "487", EndCause.CANCELLED),
        ("not_found", "404", EndCause.UNKNOWN_NUMBER),
        ("unspecified", "486", EndCause.BUSY),
        ("unspecified", "503", EndCause.FAILED),
        ("unspecified", "unspecified", EndCause.FAILED),
        ("a_new_word", None, EndCause.FAILED),
        (None, None, EndCause.FAILED),
    ],
)
def test_every_hangup_has_a_cause(word, sip, cause):
    ended = only(webhook("call.hangup", hangup_cause=word, sip_hangup_cause=sip))
    assert isinstance(ended, Ended)
    assert ended.cause is cause


def test_hangup_keeps_the_carriers_words():
    body = webhook("call.hangup", hangup_cause="user_busy", sip_hangup_cause="486",
                   hangup_source="callee")  # fmt: skip
    assert only(body).detail == "user_busy, SIP 486, callee"


def test_leg_looks_the_same_in_whatever_order_it_was_told():
    told = [
        webhook("call.initiated", event_id="1", at="2026-11-20T10:00:00Z", direction="incoming"),
        webhook("call.answered", event_id="2", at="2026-11-20T10:00:01.5Z"),
        webhook("call.hangup", event_id="3", at="2026-11-20T10:01:00Z",
                hangup_cause="normal_clearing"),
    ]  # fmt: skip
    pictures = {
        picture(signal for body in (*order, order[0]) for signal in read(body))
        for order in itertools.permutations(told)
    }
    (found,) = pictures
    assert (found.state, found.cause) == (LegState.ENDED, EndCause.COMPLETED)
    assert found.answered_at == AT + timedelta(seconds=1.5)


# --- keys and machines -------------------------------------------------------------------


def test_keys_that_come_with_the_sound_are_not_kept_besides():
    told = webhook("call.dtmf.received", digit="7")
    assert read(told) == []
    assert event(told).payload["digit"] == "-"


def test_keys_that_were_asked_for_are_told_together():
    assert only(webhook("call.gather.ended", digits="4711", status="valid")) == KeysPressed(
        event_id="e-1", leg="v3:leg", at=AT, keys="4711"
    )
    assert read(webhook("call.gather.ended", digits="", status="timeout")) == []


@pytest.mark.parametrize(
    ("kind", "result", "answerer"),
    [
        ("call.machine.detection.ended", "human", Answerer.HUMAN),
        ("call.machine.detection.ended", "machine", Answerer.MACHINE),
        ("call.machine.detection.ended", "not_sure", Answerer.UNKNOWN),
        ("call.machine.premium.detection.ended", "human_residence", Answerer.HUMAN),
        ("call.machine.premium.detection.ended", "human_business", Answerer.HUMAN),
        ("call.machine.premium.detection.ended", "machine", Answerer.MACHINE),
        ("call.machine.premium.detection.ended", "silence", Answerer.UNKNOWN),
        ("call.machine.premium.detection.ended", "fax_detected", Answerer.FAX),
    ],
)
def test_who_picked_up_is_told(kind, result, answerer):
    found = only(webhook(kind, result=result))
    assert isinstance(found, Detected)
    assert (found.answerer, found.may_speak) == (answerer, False)


@pytest.mark.parametrize("premium", ["", "premium."])
@pytest.mark.parametrize(
    ("result", "beeped"),
    [("beep_detected", True), ("prompt_ended", False), ("ended", False), ("not_sure", False)],
)
def test_message_may_be_left_after_the_beep_which_may_come_after_the_greeting(
    premium, result, beeped
):
    found = only(webhook(f"call.machine.{premium}greeting.ended", result=result))
    assert (found.answerer, found.may_speak, found.greeted) == (Answerer.MACHINE, beeped, True)


# --- recordings --------------------------------------------------------------------------


def test_recording_is_found_by_its_session_and_lives_ten_minutes():
    body = webhook(
        "call.recording.saved", call_control_id=None, channels="dual",
        recording_urls={"wav": "https://s3/a.wav", "mp3": "https://s3/a.mp3"},
        recording_started_at="2026-11-20T09:58:00Z", recording_ended_at="2026-11-20T10:00:00.5Z",
    )  # fmt: skip
    assert only(body) == RecordingReady(
        event_id="e-1", leg="", at=AT, recording_id="leg:6f1c1d2e-0000-0000-0000-000000000001",
        url="https://s3/a.wav", channels=2, seconds=120.5, expires_at=AT + timedelta(minutes=10),
        session="6f1c1d2e-0000-0000-0000-0000000000ff",
    )  # fmt: skip


def test_recording_that_failed_says_why():
    failed = only(webhook("call.recording.error", reason="Internal server error"))
    assert isinstance(failed, RecordingFailed)
    assert failed.reason == "Internal server error"


# --- messages ----------------------------------------------------------------------------


def message(kind: str, **payload):
    return webhook(kind, **{"id": "m-1", "call_control_id": None, **payload})


def test_sms_with_a_picture_is_received():
    body = message(
        "message.received", type="MMS", text="Hola", media=[{"url": "https://m/1.jpg"}, {}],
        **{"from": {"phone_number": "+5255"}, "to": [{"phone_number": "+1415"}]},
    )  # fmt: skip
    assert only(body) == MessageReceived(
        event_id="e-1", leg="", at=AT, message_id="m-1", kind=MessageKind.SMS,
        from_number="+5255", to_number="+1415", text="Hola", media=("https://m/1.jpg",),
    )  # fmt: skip


def test_whatsapp_text_lies_in_the_body():
    received = only(
        message(
            "message.received", type="WHATSAPP", body={"type": "text", "text": {"body": "Hi"}},
            to="+1415", **{"from": {"phone_number": "+5255"}},
        )
    )  # fmt: skip
    assert (received.kind, received.text, received.to_number) == (
        MessageKind.WHATSAPP, "Hi", "+1415",
    )  # fmt: skip


def test_kind_of_message_that_nobody_reads_here_is_passed_over():
    assert read(message("message.received", type="RCS")) == []


@pytest.mark.parametrize(
    ("kind", "status", "state"),
    [
        ("message.sent", "sent", MessageState.SENT),
        ("message.finalized", "delivered", MessageState.DELIVERED),
        ("message.finalized", "delivery_unconfirmed", MessageState.SENT),
        ("message.finalized", "delivery_failed", MessageState.FAILED),
        ("message.read", "delivered", MessageState.READ),
    ],
)
def test_message_of_ours_moves(kind, status, state):
    moved = only(message(kind, to=[{"phone_number": "+1", "status": status}]))
    assert isinstance(moved, MessageMoved)
    assert moved.state is state


def test_message_that_failed_says_why():
    errors = [{"code": "40300", "title": "Blocked due to STOP message"}]
    body = message("message.finalized", to=[{"status": "delivery_failed"}], errors=errors)
    assert only(body).error == "40300 Blocked due to STOP message"


def test_message_in_the_queue_has_not_moved():
    assert read(message("message.sent", to=[{"status": "queued"}])) == []


# --- what is not as documented -----------------------------------------------------------


@pytest.mark.parametrize("kind", ["call.cost", "call.speak.ended", "conference.created", "x"])
def test_unknown_event_is_no_error(kind):
    assert read(webhook(kind, call_control_id=None)) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"\xff", "body"),
        (b"[]", "data"),
        (b'{"data":7}', "data"),
        (b'{"data":{"event_type":"x","id":"1"}}', "data.occurred_at"),
        (b'{"data":{"event_type":7,"id":"1"}}', "data.event_type"),
        (webhook("call.answered", event_id=""), "data.id"),
        (webhook("call.answered", at="soon"), "data.occurred_at"),
        (webhook("call.answered", call_control_id=None), "data.payload.call_control_id"),
        (webhook("call.answered", call_control_id=7), "data.payload.call_control_id"),
        (webhook("call.initiated", direction="sideways"), "data.payload.direction"),
        (webhook("call.machine.detection.ended"), "data.payload.result"),
        (webhook("call.recording.saved"), "data.payload.recording_urls"),
        (
            webhook("call.recording.saved", recording_urls={"wav": "u"},
                    recording_started_at="x", recording_ended_at="y"),
            "data.payload.recording_started_at",
        ),
        (message("message.received"), "data.payload.from"),
        (json.dumps({"data": {"event_type": "call.answered", "id": "1",
                              "occurred_at": "2026-11-20T10:00:00Z", "payload": []}}).encode(),
         "data.payload"),
    ],
)  # fmt: skip
def test_malformed_webhook_names_the_field(body, field):
    with pytest.raises(MalformedWebhook) as caught:
        read(body)
    assert caught.value.field == field
