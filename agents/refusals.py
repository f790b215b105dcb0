"""Why a value of a profile is refused, and what is allowed instead: for people, in their language.

pydantic's own messages are English only; these are in the catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Le
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _
from pydantic import BaseModel
from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True)
class Problem:
    """One refused value: where (`transcriber.turns.vad_threshold`) and why."""

    path: str
    message: str


def refusal(error: Any, model: type[BaseModel]) -> Problem:
    """One of pydantic's errors about a `model`, for the person who typed the value."""
    path = ".".join(str(part) for part in error["loc"])
    place = error["loc"][:-2] if error["loc"][-1:] == ("[key]",) else error["loc"]
    field = field_at(place, model)
    names = [part for part in place if isinstance(part, str)]
    name = names[-1] if names else "profile"
    return Problem(path, _sentence(name, error, field))


def _sentence(name: str, error: Any, field: FieldInfo | None) -> str:
    kind = error["type"]
    values = {"name": name, "value": repr(error["input"]), "quoted": repr(name)}
    if kind == "extra_forbidden":
        return gettext("%(quoted)s is not a setting") % values
    if kind == "missing":
        return gettext("%(name)s is missing") % values
    if kind in {"value_error", "assertion_error"}:
        return f"{name}: {error['ctx']['error']}"
    allowed = allowed_values(field) if field is not None else ""
    if not allowed:
        return f"{name}: {_reason(kind, error)}"
    text = gettext("%(name)s is %(value)s; allowed is %(allowed)s")
    return text % {**values, "allowed": allowed}


# What pydantic says of wrong types and lengths, for fields whose allowed values are no range.
_REASONS = {
    "string_type": _("a text is needed"),
    "string_too_short": _("at least %(min_length)s characters are needed"),
    "string_too_long": _("at most %(max_length)s characters are allowed"),
    "too_long": _("at most %(max_length)s entries are allowed"),
    "tuple_type": _("a list is needed"),
    "list_type": _("a list is needed"),
    "dict_type": _("a table of names and values is needed"),
    "model_type": _("a group of settings is needed"),
}


def _reason(kind: str, error: Any) -> str:
    text = _REASONS.get(kind)
    if text is None:
        return str(error["msg"])
    return str(gettext(text) % error.get("ctx", {}))


def limits(field: FieldInfo) -> tuple[Any, Any] | None:
    """The least and the most that a number may be."""
    low = next((m.ge for m in field.metadata if isinstance(m, Ge)), None)
    high = next((m.le for m in field.metadata if isinstance(m, Le)), None)
    return None if low is None or high is None else (low, high)


def allowed_values(field: FieldInfo) -> str:
    """What a choice, a number or a switch takes: `none, office or cafe`, `0.05 to 0.95`."""
    choices = [str(choice) for choice in literal_choices(field.annotation)]
    if choices:
        most, last = ", ".join(choices[:-1]), choices[-1]
        return gettext("%(most)s or %(last)s") % {"most": most, "last": last}
    if (between := limits(field)) is not None:
        whole = field.annotation is int
        text = _("a whole number, %(low)s to %(high)s") if whole else _("%(low)s to %(high)s")
        return gettext(text) % {"low": between[0], "high": between[1]}
    return gettext("true or false") if field.annotation is bool else ""


def literal_choices(annotation: Any) -> tuple[Any, ...]:
    """The values of a Literal, inside a tuple or as a table's keys too; else nothing."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if get_origin(annotation) in {tuple, dict}:
        return literal_choices(get_args(annotation)[0])
    return ()


def field_at(path: tuple[str | int, ...], model: type[BaseModel]) -> FieldInfo | None:
    """The field that a path of names leads to; list positions are skipped."""
    field: FieldInfo | None = None
    for part in path:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        if field is None:
            return None
        model = _inner_model(field.annotation) or model
    return field


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = get_args(annotation)
    return _inner_model(inner[0]) if inner else None
