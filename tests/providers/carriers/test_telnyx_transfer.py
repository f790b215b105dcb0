"""Handing a caller over at Telnyx: every next step follows from one webhook alone."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest

from calls.providers.carriers.signals import EndCause, HandoverEnded
from calls.providers.carriers.telnyx.context import HandoverContext, Stage, pack, unpack
from calls.providers.carriers.telnyx.webhooks import follow_ups, read
from tests.providers.carriers.telnyx_said import webhook

CALLING = HandoverContext(
    caller_leg="v3:caller", root=str(uuid.UUID(int=7)), stage=Stage.CALLING, language="es-MX",
    briefing="Ana quiere cambiar su vuelo. Pulse 1.",
)  # fmt: skip


def told(kind: str, context: HandoverContext | None = CALLING, **payload) -> bytes:
    state = context.pack() if context else None
    return webhook(kind, call_control_id="v3:person", client_state=state, **payload)


def context_in(step) -> HandoverContext:
    found = HandoverContext.of(unpack(step.arguments["client_state"]))
    assert found is not None
    return found


def test_person_who_answers_is_briefed_in_their_language():
    (step,) = follow_ups(told("call.answered"))
    assert (step.leg, step.action) == ("v3:person", "gather_using_speak")
    assert step.arguments["payload"] == CALLING.briefing
    assert step.arguments["voice"].startswith("Azure.es-MX-")
    assert context_in(step) == CALLING


def test_person_who_presses_the_key_gets_the_caller():
    quiet, step = follow_ups(told("call.gather.ended", digits="1", status="valid"))
    assert (quiet.leg, quiet.action) == ("v3:caller", "playback_stop")
    assert (step.leg, step.action) == ("v3:person", "bridge")
    assert step.arguments["call_control_id"] == "v3:caller"
    assert context_in(step).stage is Stage.JOINED


@pytest.mark.parametrize(("digits", "status"), [("2", "valid"), ("", "timeout"), (None, "invalid")])
def test_person_who_does_not_accept_is_let_go(digits, status):
    (step,) = follow_ups(told("call.gather.ended", digits=digits, status=status))
    assert (step.leg, step.action) == ("v3:person", "hangup")
    assert context_in(step).stage is Stage.DECLINED


def test_person_who_hung_up_is_asked_nothing_more():
    assert follow_ups(told("call.gather.ended", digits="", status="call_hangup")) == ()


@pytest.mark.parametrize("wrong", [{"language": {}}, {"briefing": ["x"]}, {"caller_leg": 7}])
def test_context_that_was_tampered_with_is_none(wrong):
    context = replace(CALLING, **wrong)
    assert HandoverContext.of(unpack(context.pack())) is None
    assert follow_ups(told("call.answered", context)) == ()


def test_webhook_told_twice_calls_for_the_same_command():
    first, second = (follow_ups(told("call.answered", event_id=name)) for name in "ab")
    assert first[0].command_id == second[0].command_id
    joins = follow_ups(told("call.gather.ended", digits="1"))
    ids = {step.command_id for step in (*joins, *first)}
    assert len(ids) == 3


@pytest.mark.parametrize("stage", [Stage.BLIND, Stage.JOINED, Stage.DECLINED])
@pytest.mark.parametrize("kind", ["call.answered", "call.gather.ended"])
def test_nothing_follows_once_it_is_decided(stage, kind):
    assert follow_ups(told(kind, replace(CALLING, stage=stage), digits="1")) == ()


OTHERS = [
    None,
    "",
    "%%",
    pack("call-17"),
    pack("[]"),
    pack('{"handover":7}'),
    pack('{"handover":{"root":"7","stage":"calling"}}'),
]


@pytest.mark.parametrize("state", OTHERS)
def test_other_legs_are_left_alone(state):
    body = webhook("call.answered", client_state=state)
    assert follow_ups(body) == ()
    assert not [s for s in read(webhook("call.hangup", client_state=state))
                if isinstance(s, HandoverEnded)]  # fmt: skip


@pytest.mark.parametrize(
    ("stage", "hangup", "reached", "cause"),
    [
        (Stage.CALLING, "user_busy", False, EndCause.BUSY),
        (Stage.CALLING, "timeout", False, EndCause.NO_ANSWER),
        (Stage.CALLING, "normal_clearing", False, EndCause.REJECTED),
        (Stage.DECLINED, "normal_clearing", False, EndCause.REJECTED),
        (Stage.JOINED, "normal_clearing", True, EndCause.COMPLETED),
        (Stage.JOINED, "unspecified", True, EndCause.FAILED),
        (Stage.BLIND, "normal_clearing", True, EndCause.COMPLETED),
        (Stage.BLIND, "timeout", False, EndCause.NO_ANSWER),
        (Stage.BLIND, "call_rejected", False, EndCause.REJECTED),
    ],
)
def test_end_of_the_persons_leg_tells_how_it_went(stage, hangup, reached, cause):
    body = told("call.hangup", replace(CALLING, stage=stage), hangup_cause=hangup)
    ended, handover = read(body)
    assert ended.leg == "v3:person"
    assert isinstance(handover, HandoverEnded)
    assert (handover.leg, handover.person_leg) == ("v3:caller", "v3:person")
    assert (handover.reached, handover.cause) == (reached, cause)
    assert handover.event_id != ended.event_id
