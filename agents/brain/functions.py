"""What an agent version may do besides speaking: hang up, transfer, press keys, hand off.

To the model they are functions like any other; in the mind they become actions, which the
voice loop carries out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from agents.brain.events import Action, HandOff, HangUp, SendDtmf, Transfer
from agents.brain.llm.base import ToolSpec
from agents.brain.tools import Arguments, BadArguments

HANG_UP, TRANSFER, SEND_DTMF, HAND_OFF = "hang_up", "transfer", "send_dtmf", "hand_off"


@dataclass(frozen=True, slots=True)
class Target:
    """A person or desk to whom a caller can be put through."""

    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Functions:
    """What this agent version may do on this channel."""

    hang_up: bool = True
    dtmf: bool = False
    targets: tuple[Target, ...] = ()
    agents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Function:
    """A function and the action it stands for. `ends_reply`: nothing is said after it."""

    spec: ToolSpec
    action: Callable[[Arguments], Action]
    ends_reply: bool = True


def functions_of(allowed: Functions) -> dict[str, Function]:
    """The functions that a version offers its model, by name."""
    made = [
        _hang_up() if allowed.hang_up else None,
        _transfer(allowed.targets) if allowed.targets else None,
        _send_dtmf() if allowed.dtmf else None,
        _hand_off(allowed.agents) if allowed.agents else None,
    ]
    return {function.spec.name: function for function in made if function is not None}


def _schema(**properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _hang_up() -> Function:
    text = "End the call. Say goodbye first; call this when the caller is done."
    return Function(ToolSpec(HANG_UP, text, _schema()), lambda _: HangUp())


def _transfer(targets: tuple[Target, ...]) -> Function:
    known = "; ".join(f"{t.name}: {t.description or t.name}" for t in targets)
    text = f"Put the caller through to a person. Say so first. Targets: {known}"
    schema = _schema(target={"type": "string", "enum": [target.name for target in targets]})
    return Function(
        ToolSpec(TRANSFER, text, schema), lambda arguments: Transfer(str(arguments["target"]))
    )


def _send_dtmf() -> Function:
    text = "Press telephone keys, for example in another company's menu."
    schema = _schema(digits={"type": "string", "description": "0-9 * # A-D"})
    return Function(ToolSpec(SEND_DTMF, text, schema), _dtmf, ends_reply=False)


def _dtmf(arguments: Arguments) -> Action:
    digits = re.sub(r"[\s,.-]", "", str(arguments["digits"])).upper()
    if not re.fullmatch(r"[0-9*#A-D]{1,32}", digits):
        raise BadArguments(f"digits is {digits!r}; keys are 0-9 * # A-D, 1 to 32 of them")
    return SendDtmf(digits)


def _hand_off(agents: tuple[str, ...]) -> Function:
    text = "Let another AI agent go on with this conversation."
    schema = _schema(agent={"type": "string", "enum": list(agents)})
    return Function(
        ToolSpec(HAND_OFF, text, schema), lambda arguments: HandOff(str(arguments["agent"]))
    )
