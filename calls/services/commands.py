"""Orders to carriers: decided in a transaction, sent after it, done once."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from calls.carriers.outbox import post_on_commit
from calls.models import Command, Leg


def command_give(
    *,
    leg: Leg,
    kind: Command.Kind,
    reason: str,
    arguments: Mapping[str, Any] | None = None,
    command_id: uuid.UUID | None = None,
) -> Command | None:
    """Order something of the leg's carrier; None if this was ordered for the same reason before.

    It is sent once the transaction is committed; what a dying process leaves behind the sweeper
    sends. `command_id` is for orders that already have an id by which their carrier knows them.
    """
    defaults: dict[str, Any] = {"arguments": dict(arguments or {})}
    if command_id is not None:
        defaults["public_id"] = command_id
    command, created = Command.objects.get_or_create(
        leg=leg, kind=kind, reason=reason, defaults=defaults
    )
    if not created:
        return None
    post_on_commit(command)
    return command
