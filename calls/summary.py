"""A plain summary of a call by rules: what was asked, answered and collected.

No model is asked, so it is there at once, costs nothing and never invents anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from calls.voice.end_reasons import EndReason
from calls.voice.events import Event

_MOST = 12
_LONGEST = 160
_EMAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")
_PHONE = re.compile(r"(?<!\w)\+?\d(?:[\s().-]*\d){6,14}(?!\w)")
_DATE = re.compile(r"\b(?:\d{4}-\d{2}-\d{2}|\d{1,2}[/.]\d{1,2}(?:[/.]\d{2,4})?)\b")
_ASKS = re.compile(
    r"[?¿]|^(?:what|when|where|who|how|which|why|do|does|is|are|can|could|would|will|have|has|"
    r"qu[eé]|cu[aá]ndo|cu[aá]nto|cu[aá]nta|d[oó]nde|qui[eé]n|c[oó]mo|cu[aá]l|por qu[eé]|tienen|"
    r"hay|puedo|pueden|me gustar[ií]a|quiero|quisiera|necesito|i want|i need|i would like|"
    r"i'd like)\b",
    re.IGNORECASE,
)

_WORDS = {
    "en": {
        "asked": "Asked about: {}.",
        "nothing": "The caller asked nothing.",
        "silent": "Nobody said anything.",
        "collected": "Collected: {}.",
        "tools": "Done: {}.",
        "transfer": "Transferred to {}.",
        "end": "Ended: {}.",
    },
    "es": {
        "asked": "Preguntó por: {}.",
        "nothing": "No preguntó nada.",
        "silent": "Nadie dijo nada.",
        "collected": "Datos recogidos: {}.",
        "tools": "Hecho: {}.",
        "transfer": "Transferida a {}.",
        "end": "Fin: {}.",
    },
}
# English says the reason's own words.
_ENDS: dict[str, dict[str, str]] = {
    "es": {
        EndReason.CALLER_HUNG_UP: "el cliente colgó",
        EndReason.AGENT_HUNG_UP: "el agente colgó",
        EndReason.CALLER_SILENT: "el cliente no dijo nada más",
        EndReason.CALLER_NOT_UNDERSTOOD: "no se entendía al cliente",
        EndReason.MAX_DURATION: "se alcanzó la duración máxima",
        EndReason.TRANSFERRED: "transferida a una persona",
        EndReason.HANDED_OFF: "pasada a otro agente",
        EndReason.MEDIA_LOST: "se perdió la conexión",
        EndReason.RECOGNISER_FAILED: "falló el reconocimiento de voz",
        EndReason.BRAIN_FAILED: "el agente no pudo responder",
        EndReason.INTERNAL_ERROR: "error interno",
        EndReason.DRAINED: "el servidor se detuvo",
        EndReason.TAKEN_OVER: "la tomó una persona del equipo",
        EndReason.STAFF_HUNG_UP: "una persona del equipo colgó",
        EndReason.VOICEMAIL: "contestó un buzón de voz",
        EndReason.VOICEMAIL_LEFT: "se dejó un mensaje en el buzón de voz",
        EndReason.REFUSED_BUSY: "rechazada, no había línea libre",
        EndReason.REFUSED_NO_AGENT: "rechazada, no había agente",
        EndReason.OUTSIDE_HOURS: "fuera del horario para llamar",
        EndReason.DO_NOT_CALL: "el número está en la lista de no llamar",
        EndReason.INVALID_NUMBER: "a ese número no se puede llamar",
        EndReason.NO_CALLER_NUMBER: "no había número desde el que llamar",
        EndReason.REJECTED: "rechazada por el destinatario",
        EndReason.UNKNOWN_NUMBER: "el número no existe",
        EndReason.BUSY: "línea ocupada",
        EndReason.NO_ANSWER: "nadie contestó",
        EndReason.CANCELLED: "cancelada",
        EndReason.FAILED: "fallida",
        EndReason.SERVER_LOST: "se perdió el servidor",
    },
}


class Said(Protocol):
    """A stored turn."""

    role: Any
    text: Any
    heard_text: Any


class Happened(Protocol):
    """A stored event."""

    name: Any
    data: Any


class Ended(Protocol):
    """A stored call."""

    language: Any
    end_reason: Any
    transfer_to: Any


def outline_of(turns: Sequence[Said], events: Iterable[Happened]) -> dict[str, Any]:
    """`topics` asked, `answers` to them as the caller heard them, `collected` data, `tools`."""
    answers = list(_answers(turns))[:_MOST]
    tools = _tools(events)
    return {
        "topics": [answer["question"] for answer in answers],
        "answers": answers,
        "collected": _collected(turns, tools),
        "tools": tools[:_MOST],
        "turns": len(turns),
    }


def summary_of(outline: dict[str, Any], call: Ended) -> str:
    """The outline in a few sentences, in the call's language."""
    words = _WORDS.get(str(call.language)[:2], _WORDS["en"])
    lines = [_asked(outline, words)]
    if outline["collected"]:
        pairs = (f"{name} {', '.join(found)}" for name, found in outline["collected"].items())
        lines.append(words["collected"].format("; ".join(pairs)))
    done = [tool["name"] for tool in outline["tools"] if not tool["failed"]]
    if done:
        lines.append(words["tools"].format(", ".join(dict.fromkeys(done))))
    if call.transfer_to:
        lines.append(words["transfer"].format(call.transfer_to))
    lines.append(words["end"].format(_end(str(call.end_reason), str(call.language))))
    return " ".join(lines)


def _end(reason: str, language: str) -> str:
    return _ENDS.get(language[:2], {}).get(reason, reason.replace("_", " "))


def _asked(outline: dict[str, Any], words: dict[str, str]) -> str:
    if not outline["turns"]:
        return words["silent"]
    if not outline["topics"]:
        return words["nothing"]
    return words["asked"].format("; ".join(topic.strip(" ¿?.") for topic in outline["topics"]))


def _answers(turns: Sequence[Said]) -> Iterable[dict[str, str]]:
    for position, here in enumerate(turns):
        after = turns[position + 1] if position + 1 < len(turns) else None
        if here.role != "caller" or not _ASKS.search(str(here.text).strip()):
            continue
        heard = after.heard_text if after is not None and after.role == "agent" else ""
        yield {"question": _short(here.text), "answer": _short(heard)}


def _collected(turns: Sequence[Said], tools: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    """What the mind noted, and e-mail addresses, telephone numbers and dates in the words."""
    found: dict[str, list[str]] = {}
    for name, value in _noted(tools):
        found.setdefault(name, []).append(value)
    text = "\n".join(str(turn.text) for turn in turns if turn.role == "caller")
    for name, pattern in (("email", _EMAIL), ("date", _DATE), ("phone", _PHONE)):
        values = list(dict.fromkeys(match.strip() for match in pattern.findall(text)))
        if values:
            found.setdefault(name, values[:_MOST])
        text = pattern.sub(" ", text)
    return found


def _noted(tools: Iterable[dict[str, Any]]) -> Iterable[tuple[str, str]]:
    """Names and values out of the results of the mind's `note_details`."""
    for tool in tools:
        result = tool["result"]
        noted = result.get("noted") if isinstance(result, dict) else None
        if isinstance(noted, dict):
            yield from ((str(name), _short(value)) for name, value in noted.items())


def _tools(events: Iterable[Happened]) -> list[dict[str, Any]]:
    return [
        {
            "name": str(event.data.get("tool", "")),
            "failed": event.data.get("error") is not None,
            "result": event.data.get("result"),
        }
        for event in events
        if event.name == Event.TOOL_FINISHED
    ]


def _short(text: object) -> str:
    flat = " ".join(str(text).split())
    return flat if len(flat) <= _LONGEST else flat[: _LONGEST - 1].rstrip() + "…"
