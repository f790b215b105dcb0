"""What an agent version may do besides speaking: the one list of its functions.

To the model they are functions like any other, with typed parameters; in the mind they become
actions, which the voice loop carries out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    create_model,
)

from agents.brain.events import (
    Action,
    CallBack,
    HandOff,
    HangUp,
    SendDtmf,
    TakeMessage,
    Transfer,
)
from agents.brain.llm.base import ToolCall, ToolSpec
from agents.brain.tools import BadArguments, not_an_object

HANG_UP, TRANSFER, SEND_DTMF, HAND_OFF = "hang_up", "transfer", "send_dtmf", "hand_off"
TAKE_MESSAGE, CALL_BACK = "take_message", "call_back"

FURTHEST_CALL_BACK = timedelta(days=90)
MAX_BRIEFING, MAX_MESSAGE, MAX_NAME = 600, 2000, 120


@dataclass(frozen=True, slots=True)
class Target:
    """A person or desk to whom a caller can be put through; `warm`: after a briefing."""

    name: str
    description: str = ""
    warm: bool = False


@dataclass(frozen=True, slots=True)
class Functions:
    """What this agent version may do on this channel."""

    hang_up: bool = True
    dtmf: bool = False
    targets: tuple[Target, ...] = ()
    agents: tuple[str, ...] = ()
    messages: bool = False
    call_backs: bool = False


class Parameters(BaseModel):
    """What a function takes: nothing else, and no white space around it."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


@dataclass(frozen=True, slots=True)
class Function:
    """A function and the action it stands for. `ends_reply`: nothing is said after it.

    `is_note`: it takes effect when it is called, whatever becomes of the speech around it.
    """

    name: str
    description: str
    parameters: type[Parameters]
    make: Callable[[Any], Action]
    ends_reply: bool = True
    is_note: bool = False

    @property
    def spec(self) -> ToolSpec:
        """As the model is told of it."""
        return ToolSpec(self.name, self.description, _schema(self.parameters))

    def action(self, call: ToolCall) -> Action:
        """What the call asks for. Raises BadArguments with all that the model got wrong."""
        if call.arguments is None:
            raise not_an_object(self.name, call.raw)
        try:
            given = self.parameters.model_validate(dict(call.arguments))
        except ValidationError as error:
            raise BadArguments("; ".join(self._fault(each) for each in error.errors())) from None
        return self.make(given)

    def _fault(self, error: Any) -> str:
        place = ".".join(str(part) for part in error["loc"])
        match error["type"]:
            case "missing":
                return f"{self.name} needs {place!r}"
            case "extra_forbidden":
                known = ", ".join(self.parameters.model_fields) or "nothing"
                return f"{self.name} has no argument {place!r}; it takes {known}"
            case "value_error":
                return str(error["ctx"]["error"])
        return f"{place} of {self.name} is {error['input']!r}: {error['msg']}"


def functions_of(allowed: Functions, now: datetime | None = None) -> dict[str, Function]:
    """The functions that a version offers its model, by name.

    `now`, the call's start in the tenant's time zone, is what times are understood by.
    """
    offered = [
        _HANG_UP if allowed.hang_up else None,
        _transfer(allowed.targets) if allowed.targets else None,
        _SEND_DTMF if allowed.dtmf else None,
        _hand_off(allowed.agents) if allowed.agents else None,
        _TAKE_MESSAGE if allowed.messages else None,
        _call_back(now or datetime.now(UTC)) if allowed.call_backs else None,
    ]
    return {function.name: function for function in offered if function is not None}


def _schema(parameters: type[Parameters]) -> Mapping[str, object]:
    """The JSON schema without the titles that pydantic gives everything."""
    made = parameters.model_json_schema()
    properties = {
        name: {key: value for key, value in each.items() if key != "title"}
        for name, each in made.get("properties", {}).items()
    }
    return {"type": "object", "properties": properties, "required": made.get("required", [])}


def _one_of(function: str, argument: str, names: Sequence[str]) -> Any:
    """The type of a text that is one of these; anything else is answered with the list."""

    def check(value: str) -> str:
        if value not in names:
            listed = ", ".join(names)
            raise ValueError(f"{argument} of {function} is {value!r}; it must be one of: {listed}")
        return value

    schema = {"type": "string", "enum": list(names)}
    return Annotated[str, AfterValidator(check), WithJsonSchema(schema)]


# --- leaving the call ---------------------------------------------------------------------


class NoParameters(Parameters):
    """Of a function that takes nothing."""


_HANG_UP = Function(
    HANG_UP,
    "End the call. Say goodbye first; call this when the caller is done.",
    NoParameters,
    lambda _: HangUp(),
)


def _transfer(targets: tuple[Target, ...]) -> Function:
    """Warm targets want a briefing; what is said of the others reaches nobody."""
    known = "; ".join(f"{t.name}: {t.description or t.name}" for t in targets)
    warm = {target.name for target in targets if target.warm}
    fields: dict[str, Any] = {
        "target": (_one_of(TRANSFER, "target", [target.name for target in targets]), ...)
    }
    if warm:
        about = (
            f"What {' or '.join(sorted(warm))} should hear before taking the call: who it is and "
            "what it is about, in one or two sentences."
        )
        fields["briefing"] = (str, Field(min_length=1, max_length=MAX_BRIEFING, description=about))

    def make(given: Any) -> Transfer:
        if given.target not in warm:
            return Transfer(given.target)
        return Transfer(given.target, warm=True, briefing=given.briefing)

    return Function(
        TRANSFER,
        f"Put the caller through to a person. Say so first. Targets: {known}",
        create_model("TransferParameters", __base__=Parameters, **fields),
        make,
    )


def _hand_off(agents: tuple[str, ...]) -> Function:
    fields: dict[str, Any] = {"agent": (_one_of(HAND_OFF, "agent", agents), ...)}
    return Function(
        HAND_OFF,
        "Let another AI agent go on with this conversation.",
        create_model("HandOffParameters", __base__=Parameters, **fields),
        lambda given: HandOff(given.agent),
    )


# --- keys ---------------------------------------------------------------------------------


def _keys(digits: str) -> str:
    keys = re.sub(r"[\s,.-]", "", digits).upper()
    if not re.fullmatch(r"[0-9*#A-D]{1,32}", keys):
        raise ValueError(f"digits is {keys!r}; keys are 0-9 * # A-D, 1 to 32 of them")
    return keys


class SendDtmfParameters(Parameters):
    """Keys, with or without spaces between them."""

    digits: Annotated[str, AfterValidator(_keys)] = Field(description="0-9 * # A-D")


_SEND_DTMF = Function(
    SEND_DTMF,
    "Press telephone keys, for example in another company's menu.",
    SendDtmfParameters,
    lambda given: SendDtmf(given.digits),
    ends_reply=False,
)


# --- what is kept for people --------------------------------------------------------------


def _telephone(number: str) -> str:
    digits = re.sub(r"[\s().-]", "", number)
    if not re.fullmatch(r"(\+?\d{7,15})?", digits):
        raise ValueError(
            f"number is {number!r}; a telephone number has 7 to 15 digits, with + before a "
            "country code; leave it empty for the number of this call"
        )
    return digits


Telephone = Annotated[str, AfterValidator(_telephone)]


class TakeMessageParameters(Parameters):
    """A message, who left it, and for whom."""

    text: str = Field(
        min_length=1, max_length=MAX_MESSAGE, description="the message in the caller's words"
    )
    from_name: str = Field("", max_length=MAX_NAME, description="the caller's name, if known")
    number: Telephone = Field("", description="where to reach them, if not where they call from")
    for_whom: str = Field("", max_length=MAX_NAME, description="whom it is for, if they said so")


_TAKE_MESSAGE = Function(
    TAKE_MESSAGE,
    "Keep a message for the people of the company, once the caller has confirmed it.",
    TakeMessageParameters,
    lambda given: TakeMessage(given.text, given.from_name, given.number, given.for_whom),
    ends_reply=False,
    is_note=True,
)


def _call_back(now: datetime) -> Function:
    def moment(when: datetime) -> datetime:
        """In the tenant's time zone, where none is said."""
        local = when.replace(tzinfo=now.tzinfo) if when.tzinfo is None else when
        if not now < local <= now + FURTHEST_CALL_BACK:
            raise ValueError(
                f"when is {when.isoformat()}; it must lie after {now:%Y-%m-%dT%H:%M} and within "
                f"{FURTHEST_CALL_BACK.days} days"
            )
        return local.astimezone(now.tzinfo)

    about = "local date and time, ISO 8601, such as 2026-11-23T17:00"
    fields: dict[str, Any] = {
        "when": (Annotated[datetime, AfterValidator(moment)], Field(description=about)),
        "number": (Telephone, Field("", description="if not the number of this call")),
        "reason": (str, Field("", max_length=MAX_BRIEFING, description="what it is about")),
    }
    return Function(
        CALL_BACK,
        "Have the caller called back at a time they have agreed to. It may not be now.",
        create_model("CallBackParameters", __base__=Parameters, **fields),
        lambda given: CallBack(given.when, given.number, given.reason),
        ends_reply=False,
        is_note=True,
    )
