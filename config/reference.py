"""The settings as text: `.env.example`, the table of docs/configuration.md, and what is in force.

All three are written from `settings/env.py`; a test keeps the committed files in step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from config.environment import Origin, Variable, variables
from config.settings import env

BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"
# What compose itself needs, and production cannot do without: written out to be filled in.
TO_FILL_IN = (
    "PUBLIC_BASE_URL",
    "SECRET_KEY",
    "SECRETS_KEYS",
    "EMAIL_URL",
    "POSTGRES_PASSWORD",
    "POSTGRES_OWNER_PASSWORD",
    "POSTGRES_APP_PASSWORD",
)


def groups() -> Iterator[tuple[str, list[Variable]]]:
    """The variables by group, in the order of the table in env.py."""
    for group, members in groupby(variables(env.Environment), key=lambda item: item.group):
        yield group, list(members)


def example() -> str:
    """The text of `.env.example`: every setting with its default, none in force."""
    lines = [
        "# Andrea's settings. Copy this file to .env and fill in what you have.",
        "# `make run` needs nothing of it. Docker Compose needs what has no # before it;",
        "# draw a secret with: python3 -c 'import secrets; print(secrets.token_hex(32))'",
        "# and a key for SECRETS_KEYS with: python3 -c 'import base64, os; "
        "print(base64.urlsafe_b64encode(os.urandom(32)).decode())'",
    ]
    for group, members in groups():
        lines += ["", f"# --- {group} ---"]
        for item in members:
            line = f"{item.name}=" if item.name in TO_FILL_IN else f"#{item.name}={item.default}"
            lines += [f"# {item.help}", line]
    return "\n".join(lines) + "\n"


def table() -> str:
    """The Markdown between the marks of docs/configuration.md."""
    lines: list[str] = []
    for group, members in groups():
        lines += ["", f"### {group}", "", "| variable | expects | default | what for |"]
        lines.append("| --- | --- | --- | --- |")
        lines += [_row(item) for item in members]
    return "\n".join(lines) + "\n"


def _row(item: Variable) -> str:
    default = f"`{item.default}`" if item.default else "—"
    marks = " **Required in production.**" if item.required else ""
    name = f"`{item.name}`" + (" 🔒" if item.secret else "")
    return f"| {name} | {item.kind.expects} | {default} | {item.help}{marks} |"


def with_table(page: str) -> str:
    """The page with the table of this moment between its marks. Raises ValueError."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def effective(origins: Mapping[str, Origin]) -> str:
    """Every setting with its value, masked where it is secret, and where it came from."""
    known = variables(env.Environment)
    width = max(len(item.name) for item in known)
    lines = []
    for item in known:
        origin = origins[item.name]
        value = item.masked(origin.text) or "(not set)"
        lines.append(f"{item.name:<{width}}  {value}  [{origin.source}]")
    return "\n".join(lines)
