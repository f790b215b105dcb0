"""Brings the database up to date and seeds the demo: `python -m config.launcher.prepare`."""

from __future__ import annotations

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
django.setup(set_prefix=False)

from django.core.management import call_command  # noqa: E402 - needs the settings
from django.core.management.base import CommandError  # noqa: E402
from django.db import OperationalError, ProgrammingError  # noqa: E402


def main() -> None:
    """Migrate, check the roles, seed; end with one line if that fails."""
    try:
        call_command("migrate", interactive=False, verbosity=0)
        call_command("check", databases=["default"])
        call_command("seed_demo")
    except (CommandError, OperationalError, ProgrammingError) as error:
        sys.exit(str(error).strip())


if __name__ == "__main__":
    main()
