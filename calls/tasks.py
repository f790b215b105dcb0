"""Work on calls that no caller waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from celery import shared_task
from django.utils import timezone

from calls import dispatch
from calls.models import Call
from calls.services.calls import calls_sweep, calls_without_figures
from calls.services.finalise import call_finalise
from tenants.db import tenant_transaction
from tenants.selectors import active_tenant_ids
from tenants.tasks import tenant_task


@tenant_task(autoretry_for=(OSError,), retry_backoff=True, max_retries=5)
def finalise_call(_tenant_id: int, call_id: int) -> None:
    """Make the figures and the summary of a call that has ended. Doing it twice is harmless."""
    call = Call.objects.filter(pk=call_id).first()
    if call is not None:
        call_finalise(call=call)


@tenant_task(atomic=False)
def send_commands(tenant_id: int, command_ids: Sequence[int]) -> None:
    """Send orders to carriers. Each is claimed first, so twice is as good as once."""
    asyncio.run(_send(tenant_id, command_ids))


async def _send(tenant_id: int, command_ids: Sequence[int]) -> None:
    try:
        await dispatch.send_all(tenant_id, command_ids)
    finally:
        await dispatch.close_all()


@shared_task  # type: ignore[untyped-decorator]
def sweep_calls() -> int:
    """Close the calls that no server holds any more, in every tenant; how many those were."""
    now, closed = timezone.now(), 0
    for tenant_id in list(active_tenant_ids()):
        with tenant_transaction(tenant_id):
            closed += calls_sweep(now=now)
            calls_without_figures(now=now)
    return closed
