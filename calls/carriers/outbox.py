"""Sends what was ordered of carriers, as soon as the transaction that ordered it is committed.

A process with an event loop (web, media) sends from there; any other leaves it to a worker. What
is lost in between the sweeper finds (`calls.tasks.sweep_carriers`).
"""

from __future__ import annotations

import asyncio

from django.db import transaction

from calls.models import Command

_home: asyncio.AbstractEventLoop | None = None


def open_here() -> None:
    """Send from this event loop from now on."""
    global _home  # noqa: PLW0603 - one per process
    _home = asyncio.get_running_loop()


def post_on_commit(command: Command) -> None:
    """Send this order once it is stored."""
    tenant_id, command_id = command.tenant_id, command.pk
    transaction.on_commit(lambda: post(tenant_id, command_id), robust=True)


def post(tenant_id: int, command_id: int) -> None:
    """Send a stored order, from any thread."""
    from calls.tasks import send_command

    home = _home
    if home is None or not home.is_running():
        send_command.delay(tenant_id, command_id)
        return
    home.call_soon_threadsafe(_start, tenant_id, command_id)


def _start(tenant_id: int, command_id: int) -> None:
    from calls.carriers import dispatch
    from calls.line.live import live

    live.in_background(dispatch.send(tenant_id, command_id), f"command {command_id}")
