"""What goes into the mind (conversation items) and what comes out (reply events).

These mirror `calls/voice/ports.py` one to one, name by name and field by field; a test holds
them together. They are written twice because the mind lies below the calls and may not import
them, and because it also answers in text channels that know nothing of a voice loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class CallerSaid:
    text: str


@dataclass(frozen=True, slots=True)
class CallerPressed:
    digits: str


@dataclass(frozen=True, slots=True)
class AgentSaid:
    """What the caller heard of an agent's turn, never what was merely generated."""

    text: str
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class ToolRan:
    """A tool that ran, once, whatever happened to the speech around it."""

    call_id: str
    name: str
    arguments: Mapping[str, object]
    result: object
    error: str | None = None


ConversationItem: TypeAlias = CallerSaid | CallerPressed | AgentSaid | ToolRan


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Some more characters of what the agent says."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    call_id: str
    name: str
    arguments: Mapping[str, object]
    filler: str = ""


@dataclass(frozen=True, slots=True)
class ToolFinished:
    call_id: str
    name: str
    result: object
    error: str | None = None


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call once the caller has heard everything said so far."""

    reason: str = "agent_hung_up"


@dataclass(frozen=True, slots=True)
class Transfer:
    """Hand the caller to a person: `target` is the name of one of the version's targets.

    `warm`: the person hears the `briefing` first, and takes the call or does not.
    """

    target: str
    warm: bool = False
    briefing: str = ""


@dataclass(frozen=True, slots=True)
class SendDtmf:
    digits: str


@dataclass(frozen=True, slots=True)
class HandOff:
    """Let another AI agent go on with the conversation."""

    agent: str


@dataclass(frozen=True, slots=True)
class TakeMessage:
    """Keep a message for the people of the company; `for_whom` may be anybody of them."""

    text: str
    from_name: str = ""
    number: str = ""
    for_whom: str = ""


@dataclass(frozen=True, slots=True)
class CallBack:
    """Call the caller again then. `when` has a time zone; no `number`: the one of this call."""

    when: datetime
    number: str = ""
    reason: str = ""


Note: TypeAlias = TakeMessage | CallBack
Action: TypeAlias = HangUp | Transfer | SendDtmf | HandOff | Note
ReplyEvent: TypeAlias = TextDelta | ToolStarted | ToolFinished | Action
