"""What changed between two versions, field by field."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agents.models import AgentVersion
from agents.selectors import knowledge_of

LONG = 120  # characters from which only the lines that differ are shown


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs; None: it is not there on that side."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.path}: added {self.after!r}"
        if self.after is None:
            return f"{self.path}: removed {self.before!r}"
        if isinstance(self.before, str) and len(self.before) + len(str(self.after)) > LONG:
            return f"{self.path}:\n{_lines(self.before, str(self.after))}"
        return f"{self.path}: {self.before!r} → {self.after!r}"


def version_diff(old: AgentVersion, new: AgentVersion) -> list[Difference]:
    """Every field that differs, in order: prompt, languages, greeting, profiles, knowledge."""
    before, after = dict(_fields(old)), dict(_fields(new))
    paths = list(dict.fromkeys([*before, *after]))
    return [
        Difference(path, before.get(path), after.get(path))
        for path in paths
        if before.get(path) != after.get(path)
    ]


def _fields(version: AgentVersion) -> Iterator[tuple[str, Any]]:
    yield "prompt", version.prompt
    yield "languages", ", ".join(version.languages)
    yield from _flat("greeting", version.greeting)
    yield from _flat("profiles", version.profiles)
    for entry in knowledge_of(version):
        name = f"knowledge[{entry.language}: {entry.question}]"
        yield f"{name}.answer", entry.answer
        for field in ("phrasings", "tags", "collect", "closing"):
            value = getattr(entry, field)
            if value:
                yield f"{name}.{field}", ", ".join(value) if isinstance(value, list) else value


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(f"{path}.{key}", inner)
    else:
        yield path, value


def _lines(before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))
