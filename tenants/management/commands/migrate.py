"""`migrate`, as the owner of the tables and with rights for the application's role."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.core.management.commands.migrate import Command as MigrateCommand
from django.db import DEFAULT_DB_ALIAS, connections

from tenants.roles import OWNER_ALIAS, grant_future_tables


class Command(MigrateCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database=OWNER_ALIAS)

    def handle(self, *args: Any, **options: Any) -> None:
        app_role = connections[DEFAULT_DB_ALIAS].settings_dict["USER"]
        grant_future_tables(connections[options["database"]], app_role)
        super().handle(*args, **options)
