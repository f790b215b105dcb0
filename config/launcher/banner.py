"""What `make run` tells the user when everything is up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from config.settings.env import Environment

LOGIN_FILE = "demo.json"
_RULE = "─" * 78


def banner(address: str, env: Environment, data_dir: Path, seconds: float) -> str:
    """Address, login, providers with reasons, and how to get more."""
    lines = [
        _RULE,
        f"Andrea is ready after {seconds:.1f} s:  {address}",
        "",
        *_logins(data_dir / LOGIN_FILE, address),
        "",
        *_providers(env),
        "",
        "More: put a key into .env (GROQ_API_KEY is free and gives model and recognition);",
        "docs/configuration.md lists them all. `make call` telephones the agent from a",
        "second terminal. Ctrl-C ends everything.",
        _RULE,
    ]
    return "\n".join(lines)


def _logins(path: Path, address: str) -> Iterator[str]:
    try:
        people = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        yield f"  Log in as before ({path} is gone);"
        yield "  for a new operator: .venv/bin/python manage.py createsuperuser"
        return
    for person in people:
        page = f"{address}{person['page']}"
        yield f"  {person['role']:<9} {person['email']}  password {person['password']}  {page}"


def _providers(env: Environment) -> Iterator[str]:
    """● what a call uses, best first; ○ what it could use, and what that takes."""
    from calls.providers.registry import describe  # numpy loads while the web server does
    from config.settings.derived import credentials

    statuses = describe(credentials(env))
    for kind, title in (("recogniser", "Hearing"), ("synthesiser", "Voice")):
        entries = [(s.name, s.available, s.reason) for s in statuses if s.kind == kind]
        yield from _kind(title, entries)
    key = bool(env.GROQ_API_KEY)
    groq = ("groq", key, env.GROQ_MODEL if key else "no GROQ_API_KEY")
    own = ("embedded", True, "answers from the agent's knowledge; no language model")
    yield from _kind("Mind", [groq, own])


def _kind(title: str, entries: list[tuple[str, bool, str]]) -> Iterator[str]:
    for name, available, reason in sorted(entries, key=lambda entry: not entry[1]):
        yield f"  {title:<9} {'●' if available else '○'} {name:<11} {reason}"
        title = ""
