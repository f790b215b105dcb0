"""Makes whatever happened fit for PostgreSQL's text and JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_DEPTH = 8


def clean_text(text: str) -> str:
    """Without NUL and half characters, which PostgreSQL refuses."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def clean_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object that PostgreSQL can hold."""
    return {clean_text(str(name)): clean(value) for name, value in fields.items()}


def clean(value: object, depth: int = _DEPTH) -> object:
    """A value that JSON and PostgreSQL can hold, as like the given one as can be.

    Not-a-number and infinity become null; what JSON has no form for becomes its text.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return clean_text(value)
    if depth == 0:
        return clean_text(str(value))
    if isinstance(value, Mapping):
        return {clean_text(str(key)): clean(each, depth - 1) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(each, depth - 1) for each in value]
    return clean_text(str(value))
