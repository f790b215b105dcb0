"""Tools that the mind can run, and the check of what a model wants to call them with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from agents.brain.llm.base import ToolSpec

Arguments = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Tool:
    """A function with a schema.

    `run` raises ToolFailed for what the model should be told; its result must be JSON-like.
    `has_effect` marks tools that change something: they run one after the other, are never
    cancelled half way, and a barge-in does not undo them. `filler` is said while it is slow.
    `timeout` is in seconds.
    """

    spec: ToolSpec
    run: Callable[[Arguments], Awaitable[object]]
    has_effect: bool = False
    filler: str = ""
    timeout: float = 10.0


class ToolFailed(Exception):
    """A tool could not do what was asked; the message is for the model."""


class BadArguments(ToolFailed):
    """The model called a tool with arguments that do not fit its schema."""


def not_an_object(name: str, raw: str) -> BadArguments:
    """For a model that called `name` with something unreadable."""
    return BadArguments(f"the arguments of {name} are not a JSON object: {raw[:200]!r}")


_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}


def check_arguments(spec: ToolSpec, arguments: Arguments | None, raw: str = "") -> Arguments:
    """Return the arguments if they fit the schema's names, types and choices.

    Raises BadArguments with a sentence that the model can act on.
    """
    if arguments is None:
        raise not_an_object(spec.name, raw)
    properties = spec.parameters.get("properties")
    known: Mapping[str, object] = properties if isinstance(properties, Mapping) else {}
    required = spec.parameters.get("required")
    for name in required if isinstance(required, list | tuple) else ():
        if name not in arguments:
            raise BadArguments(f"{spec.name} needs {name!r}")
    for name, value in arguments.items():
        if name not in known:
            raise BadArguments(f"{spec.name} has no argument {name!r}; it takes {', '.join(known)}")
        _check_value(spec.name, name, value, known[name])
    return arguments


def _check_value(tool: str, name: str, value: object, schema: object) -> None:
    if not isinstance(schema, Mapping):
        return
    choices = schema.get("enum")
    if isinstance(choices, list | tuple) and value not in choices:
        listed = ", ".join(str(choice) for choice in choices)
        raise BadArguments(f"{name} of {tool} is {value!r}; it must be one of: {listed}")
    kind = schema.get("type")
    expected = _TYPES.get(kind) if isinstance(kind, str) else None
    is_flag = isinstance(value, bool) and kind != "boolean"
    if expected and (not isinstance(value, expected) or is_flag):
        raise BadArguments(f"{name} of {tool} is {value!r}; it must be of type {kind}")
