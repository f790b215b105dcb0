"""What `make run` tells the user when everything is up."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from config.settings.env import Environment

if TYPE_CHECKING:
    from calls.providers.provider import BackendT, Credentials, Provider, RequestT

LOGIN_FILE = "demo.json"
LANGUAGES = (("Spanish", "es"), ("English", "en"))
WIDTH = 78
_RULE = "─" * WIDTH


def banner(address: str, env: Environment, data_dir: Path, seconds: float) -> str:
    """Address, logins, who hears, speaks and thinks in each language, and how to get more."""
    lines = [
        _RULE,
        f"Andrea is ready after {seconds:.1f} s:  {address}",
        "",
        *_logins(data_dir / LOGIN_FILE),
        "",
        *_abilities(env),
        "",
        "More: put a key into .env (GROQ_API_KEY is free: model, ears in both languages);",
        "docs/configuration.md lists them all. `make call` telephones the agent from a",
        "second terminal. Ctrl-C ends everything.",
        _RULE,
    ]
    return "\n".join(lines)


def _logins(path: Path) -> Iterator[str]:
    try:
        people = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        yield f"  Log in as before ({path} is gone);"
        yield "  for a new operator: .venv/bin/python manage.py createsuperuser"
        return
    for person in people:
        page = "" if person["page"] == "/" else f"  at {person['page']}"
        yield f"  {person['role']:<9} {person['email']:<21}  password {person['password']}{page}"


def _abilities(env: Environment) -> Iterator[str]:
    """For each language what hears, speaks and thinks: ● who does, with why; ○ that nobody can."""
    # numpy loads while the web server does
    from calls.providers.registry import RECOGNISERS
    from calls.providers.tts import SYNTHESISERS
    from config.settings.derived import credentials

    keys = credentials(env)
    said: dict[str, list[tuple[str, str]]] = {}
    for name, language in LANGUAGES:
        heading = name
        for verb, able in (
            ("hears", _able(RECOGNISERS, keys, language)),
            ("speaks", _able(SYNTHESISERS, keys, language)),
            ("thinks", _minds(env)),
        ):
            again = f"as in {LANGUAGES[0][0]}" if said.get(verb) == able else ""
            said[verb] = able
            yield from _ability(heading, verb, able, again)
            heading = ""
    yield ""
    for entry in RECOGNISERS:
        if entry.on_request and not entry.missing(keys):
            yield from _wrapped("  Only if a profile asks for it:  ", f"{entry.name}, {entry.note}")


def _able(
    providers: Sequence[Provider[RequestT, BackendT]], keys: Credentials, language: str
) -> list[tuple[str, str]]:
    """Names and notes of those that a call gets unasked, best first; ("", why) where none is."""
    offered = [entry for entry in providers if not entry.on_request]
    there = [entry for entry in offered if not entry.missing(keys)]
    able = sorted(
        (entry for entry in there if not entry.cannot(language)), key=lambda e: e.last_resort
    )
    if able:
        return [(entry.name, entry.note or "its key is set") for entry in able]
    others = [e.name for e in offered if e.missing(keys) and not e.cannot(language)]
    reasons = "; ".join(f"{entry.name}: {entry.cannot(language)}" for entry in there)
    return [("", f"without a key of {' or '.join(others)}; {reasons}")]


def _minds(env: Environment) -> list[tuple[str, str]]:
    own = ("embedded", "answers from the agent's knowledge; GROQ_API_KEY is not set")
    return [("groq", env.GROQ_MODEL), own] if env.GROQ_API_KEY else [own]


def _ability(language: str, verb: str, able: list[tuple[str, str]], again: str) -> Iterator[str]:
    (name, reason), *others = able
    if again:
        reason = again
    elif others:
        reason += f"; then {', '.join(other for other, _ in others)}"
    mark = f"● {name}" if name else "○ nobody"
    yield from _wrapped(f"  {language:<8} {verb:<6}  {mark:<10}  ", reason)


def _wrapped(start: str, text: str) -> Iterator[str]:
    """The text beside its heading, in as many lines as it takes."""
    yield from textwrap.wrap(
        start + text, WIDTH, subsequent_indent=" " * len(start), break_on_hyphens=False
    )
