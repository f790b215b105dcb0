"""Handing a caller to a person, one step for each thing that Telnyx tells of the person's leg.

There is no state but what `client_state` carries: what comes next follows from one webhook alone.
So a webhook told twice, or to another process, calls for the same commands with the same ids.

    blind:  transfer -> Telnyx joins the two -> the person's leg ends
    warm:   dial -> answered: brief -> key: join, or none: hang up -> the person's leg ends
            (meanwhile the caller hears music, which ends before they are joined)

The agent has let the caller go by then, and has them again if the two are never joined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from calls.providers.carriers.signals import EndCause, HandoverEnded
from calls.providers.carriers.steps import Step
from calls.providers.carriers.telnyx.context import HandoverContext, Stage
from calls.providers.carriers.telnyx.events import Event
from calls.providers.carriers.telnyx.voices import voice_for

ACCEPT_KEY = "1"
END_HOLD = "playback_stop"
_KEY_MS = 10_000  # after the briefing, how long the person has for the key
_TRIES = 2  # the briefing is said again to somebody who pressed nothing


def next_steps(event: Event) -> tuple[Step, ...]:
    """What a webhook of a person's leg calls for; nothing for any other."""
    context = HandoverContext.of(event.client_state)
    step = _STEPS.get(event.kind)
    if context is None or step is None or context.stage is not Stage.CALLING:
        return ()
    return step(event, context)


def handover_ended(event: Event, cause: EndCause) -> HandoverEnded | None:
    """What became of the handover whose person's leg is over, by `cause`."""
    context = HandoverContext.of(event.client_state)
    if context is None:
        return None
    reached = context.stage is Stage.JOINED or (
        # Telnyx joins the two of a blind transfer by itself, so how the leg ended has to tell.
        context.stage is Stage.BLIND and cause is EndCause.COMPLETED
    )
    return HandoverEnded(
        event_id=f"{event.id}:handover",
        leg=context.caller_leg,
        at=event.at,
        reached=reached,
        cause=_cause(context.stage, cause),
        person_leg=event.leg,
    )


def _cause(stage: Stage, cause: EndCause) -> EndCause:
    """A person who declined, or hung up on the briefing, refused, however their leg ended."""
    unwilling = stage is Stage.DECLINED or (stage is Stage.CALLING and cause is EndCause.COMPLETED)
    return EndCause.REJECTED if unwilling else cause


def _brief(event: Event, context: HandoverContext) -> tuple[Step, ...]:
    arguments = {
        "payload": context.briefing,
        "voice": voice_for(context.language),
        "minimum_digits": 1,
        "maximum_digits": 1,
        "maximum_tries": _TRIES,
        "timeout_millis": _KEY_MS,
        "client_state": context.pack(),
    }
    return (_step(event, "gather_using_speak", arguments, context),)


def _decide(event: Event, context: HandoverContext) -> tuple[Step, ...]:
    if event.text("status") == "call_hangup":
        return ()
    if event.text("digits") != ACCEPT_KEY:
        declined = replace(context, stage=Stage.DECLINED, briefing="")
        return (_step(event, "hangup", {"client_state": declined.pack()}, context),)
    joined = replace(context, stage=Stage.JOINED, briefing="")
    arguments = {"call_control_id": context.caller_leg, "client_state": joined.pack()}
    quiet = Step(context.caller_leg, END_HOLD, {}, context.command_id(END_HOLD))
    return (quiet, _step(event, "bridge", arguments, context))


def _step(
    event: Event, action: str, arguments: Mapping[str, Any], context: HandoverContext
) -> Step:
    return Step(event.required("call_control_id"), action, arguments, context.command_id(action))


_STEPS: dict[str, Callable[[Event, HandoverContext], tuple[Step, ...]]] = {
    "call.answered": _brief,
    "call.gather.ended": _decide,
}
