"""The tool by which the mind notes what a caller has given: it becomes part of the call."""

from __future__ import annotations

from collections.abc import Mapping

from agents.brain.llm.base import ToolSpec
from agents.brain.tools import Arguments, BadArguments, Tool

NOTE_DETAILS = "note_details"
MAX_DETAILS = 20

_SPEC = ToolSpec(
    NOTE_DETAILS,
    "Note what the caller has given (name, phone, date, wishes) once they have confirmed it, so "
    "that staff can act on it. It books nothing by itself.",
    {
        "type": "object",
        "properties": {
            "subject": {"type": "string", "description": "what it is about, e.g. a booking"},
            "details": {
                "type": "object",
                "description": "what was given, as name and value",
                "additionalProperties": {"type": "string"},
            },
        },
        "required": ["subject", "details"],
    },
)


def note_details() -> Tool:
    """The tool. Its run, with arguments, is kept in the call's history: that is the note."""
    return Tool(_SPEC, _note, has_effect=True)


async def _note(arguments: Arguments) -> object:
    details = arguments["details"]
    if not isinstance(details, Mapping) or not details:
        raise BadArguments("details is empty; it needs at least one name and value")
    if len(details) > MAX_DETAILS:
        raise BadArguments(
            f"details holds {len(details)} values; at most {MAX_DETAILS} are allowed"
        )
    return {"noted": {str(name): str(value) for name, value in details.items()}}
