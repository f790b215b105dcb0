"""The sentences of adapters, stored in no language and shown in the viewer's."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext
from pydantic import ValidationError

from calls.providers.carriers.sentences import Sentence, _


def storable(words: str) -> str | dict[str, Any]:
    """As JSON: a sentence as its template and values, a vendor's own words as they are."""
    if not isinstance(words, Sentence):
        return words
    values = {name: storable(each) for name, each in words.values.items()}
    return {"template": words.template, "values": values}


def shown(stored: object) -> str:
    """A sentence, stored or not, in the language of whoever reads it now."""
    match storable(stored) if isinstance(stored, str) else stored:
        case {"template": str(template), "values": dict(values)}:
            return gettext(template) % {name: shown(each) for name, each in values.items()}
        case other:
            return str(other)


def faults_in(error: ValidationError) -> dict[str, str]:
    """What is wrong, field by field; what concerns several stands under the empty name."""
    found: dict[str, str] = {}
    for fault in error.errors(include_url=False, include_input=False):
        name = str(fault["loc"][0]) if fault["loc"] else ""
        cause = fault.get("ctx", {}).get("error")
        if isinstance(cause, ValueError):
            words = cause.args[0]
        elif fault["type"] == "missing":
            words = _("%(name)s is missing", name=name)
        else:
            words = fault["msg"]
        found.setdefault(name, words)
    return found
