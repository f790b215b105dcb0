"""What changed between two versions, field by field."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agents.models import AgentVersion
from agents.profiles import InvalidProfile, parse_profiles
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
        if not self._is_long:
            return f"{self.path}: {self.before!r} → {self.after!r}"
        old, new = self.sides
        lines = [f"-{line}" for line in old.splitlines()] + [f"+{n}" for n in new.splitlines()]
        return f"{self.path}:\n" + "\n".join(lines)

    @property
    def sides(self) -> tuple[str, str]:
        """Both values as text; of long ones only the lines that differ."""
        before, after = ("" if value is None else str(value) for value in (self.before, self.after))
        return _lines(before, after) if self._is_long else (before, after)

    @property
    def _is_long(self) -> bool:
        both = isinstance(self.before, str) and isinstance(self.after, str)
        return both and len(self.before) + len(self.after) > LONG


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
    yield from _flat("profiles", _profiles(version))
    for entry in knowledge_of(version):
        name = f"knowledge[{entry.language}: {entry.question}]"
        yield f"{name}.answer", entry.answer
        for field in ("phrasings", "tags", "collect", "closing"):
            value = getattr(entry, field)
            if value:
                yield f"{name}.{field}", ", ".join(value) if isinstance(value, list) else value


def _profiles(version: AgentVersion) -> Mapping[str, Any]:
    """In full: a setting that came later than the version has its default there."""
    try:
        parsed = parse_profiles(version.profiles)
    except InvalidProfile:
        return dict(version.profiles)
    return {channel: profile.model_dump(mode="json") for channel, profile in parsed.items()}


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(f"{path}.{key}", inner)
    else:
        yield path, value


def _lines(before: str, after: str) -> tuple[str, str]:
    lines = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    removed = "\n".join(line[2:] for line in lines if line.startswith("- "))
    added = "\n".join(line[2:] for line in lines if line.startswith("+ "))
    return removed, added
