"""Keys that the agent presses towards the customer, where the carrier does that by order."""

from __future__ import annotations

import uuid

from calls.models import Command
from calls.services.commands import command_give
from calls.services.parting import customer_leg


def keys_press(*, call_id: int, keys: str) -> None:
    """Press keys towards the customer; each time is an order of its own."""
    leg = customer_leg(call_id)
    if leg is not None:
        command_give(
            leg=leg, kind=Command.Kind.DTMF, reason=uuid.uuid4().hex, arguments={"keys": keys}
        )
