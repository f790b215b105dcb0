"""A warm transfer: the person hears what it is about on a leg of their own, and takes the caller.

    call the person -> briefing -> key: the caller comes into the person's room
                                -> another key, none, hung up, nobody there: nothing changes

The agent has let the caller go by then: they hear music until the person has accepted, and are
with the agent again if that never happens.
There is no state but what the addresses carry that Twilio was told, so what comes next follows
from one callback alone. Twilio knows no command ids: the steps of an event are taken once, by
whoever stored it as new.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from calls.providers.carriers.answers import HangUp, Join
from calls.providers.carriers.port import Handover
from calls.providers.carriers.signals import Event
from calls.providers.carriers.steps import Step
from calls.providers.carriers.twilio.events import ACCEPT_KEY, ENDED_STATUSES, Kind, Stage

JOIN, ASK = "join", "ask"
_CARRIED = ("caller", "handover", "back", "after")


def about(handover: Handover) -> dict[str, str]:
    """What the addresses of one transfer carry."""
    return {
        "caller": handover.leg,
        "handover": str(handover.command_id),
        "back": handover.signals_url,
        "after": str(handover.after),
    }


def steps(told: Event) -> tuple[Step, ...]:
    """The commands that a callback calls for by itself, on the leg that they are about.

    A person who accepts gets the caller. Once a person who had accepted has left, the caller's
    leg is asked about: it has been already, unless the person left before the caller came.
    """
    said = told.payload
    if told.kind == Kind.PERSON_KEY and accepted(said):
        return (_step(JOIN, told, told.leg),)
    has_left = said.get("CallStatus", "") in ENDED_STATUSES
    if told.kind == Kind.PERSON_STATUS and has_left and said.get("stage") == Stage.JOINED:
        return (_step(ASK, told, said.get("caller", "")),)
    return ()


def answer(told: Event) -> Join | HangUp:
    """What the person's leg does after the briefing."""
    return Join(room(told.payload["handover"])) if accepted(told.payload) else HangUp()


def accepted(said: Mapping[str, str]) -> bool:
    """Whether the key that was pressed means yes, and it is known to what."""
    whole = all(said.get(name) for name in ("caller", "handover", "back"))
    return whole and said.get("Digits", "") == ACCEPT_KEY


def room(handover: str) -> str:
    """The name of the conference in which the two meet; nobody else can guess it."""
    return f"handover-{handover}"


def _step(action: str, told: Event, leg: str) -> Step:
    arguments = {name: str(told.payload.get(name, "")) for name in _CARRIED}
    command_id = uuid.uuid5(uuid.NAMESPACE_URL, f"{action}/{arguments['handover']}")
    return Step(leg, action, arguments, command_id)
