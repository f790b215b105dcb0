"""`manage.py seed_demo`: a tenant to try Andrea with, made once."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from calls.services.demo import PEOPLE, demo_seed

LOGIN_FILE = "demo.json"


class Command(BaseCommand):
    """Seeds the demo and keeps its logins where `make run` finds them."""

    help = "Create the demo tenant with its people, agents and numbers, if it is not there."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Seed with the passwords of the login file; without it everybody gets new ones."""
        if settings.SETTINGS_MODULE == "config.settings.production":
            raise CommandError("The demo's logins lie open in a file: not in production.")
        path = Path(settings.DATA_DIR) / LOGIN_FILE
        known = read_logins(path)
        logins = known or draw_logins()
        passwords = {login["email"]: login["password"] for login in logins}
        demo_seed(passwords=passwords, renew=not known)
        write_logins(path, logins)
        self.stdout.write(f"The demo tenant is ready; its logins are in {path}")


def read_logins(path: Path) -> list[dict[str, str]]:
    """The logins drawn before; none where the file is absent or of other people."""
    try:
        logins: list[dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    known = {person.email for person in PEOPLE}
    return logins if {login.get("email") for login in logins} == known else []


def draw_logins() -> list[dict[str, str]]:
    """A random password for each person."""
    return [
        {
            "role": person.role or "operator",
            "email": person.email,
            "password": secrets.token_urlsafe(9),
            "page": person.page,
        }
        for person in PEOPLE
    ]


def write_logins(path: Path, logins: list[dict[str, str]]) -> None:
    """Keep the logins, readable by this user alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(logins, indent=2) + "\n", encoding="utf-8")
