"""`manage.py show_config`: what Andrea was told, by whom, with secrets masked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from config import reference
from config.settings.env import BASE_DIR, ORIGINS

CONFIGURATION_PAGE = BASE_DIR / "docs" / "configuration.md"
EXAMPLE = BASE_DIR / ".env.example"


class Command(BaseCommand):
    """Prints the effective configuration, or writes the files that describe it."""

    help = "Print every setting with its value (secrets masked) and where it came from."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """One flag: write the documentation instead."""
        parser.add_argument(
            "--write-docs",
            action="store_true",
            help="write .env.example and the table of docs/configuration.md instead",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print, or write."""
        if not options["write_docs"]:
            self.stdout.write(reference.effective(ORIGINS))
            return
        self._write(EXAMPLE, reference.example())
        page = CONFIGURATION_PAGE.read_text(encoding="utf-8")
        self._write(CONFIGURATION_PAGE, reference.with_table(page))

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text, encoding="utf-8")
        self.stdout.write(f"wrote {path.relative_to(BASE_DIR)}")
