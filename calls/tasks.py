"""Work on calls that no caller waits for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable

from celery import shared_task
from django.utils import timezone

from agents.brain.errors import ProviderError
from calls.carriers import dispatch, message_files, messaging, outbox
from calls.carriers.checking import check
from calls.carriers.downloads import claimed
from calls.carriers.fetching import MOST_SECONDS as RECORDING_SECONDS
from calls.carriers.fetching import fetch
from calls.line.presence import present_processes
from calls.models import Call
from calls.services.call_backs import call_back_step, call_backs_underway
from calls.services.calls import calls_of_gone_servers, calls_sweep, calls_without_figures
from calls.services.campaign_run import campaign_step, campaigns_underway
from calls.services.carrier_events import (
    events_forget,
    legs_waiting,
    messages_told,
    stray_events_forget,
)
from calls.services.carrier_recordings import OVERDUE, recordings_overdue
from calls.services.carrier_signals import leg_apply
from calls.services.finalise import call_finalise
from calls.services.lines import lines_sweep
from calls.services.message_files import message_files_waiting
from calls.services.message_orders import messages_waiting
from calls.services.message_signals import message_apply
from calls.services.orders import commands_waiting
from tenants.db import tenant_transaction
from tenants.tasks import in_each_tenant, tenant_task

log = logging.getLogger(__name__)


# What a sweeper asks for again waits in its queue no longer than this, else it piles up there.
ASKED_AGAIN_SECONDS = 60.0
STEP_SECONDS = 10.0  # the same for a step, of which there will be another


@tenant_task(
    autoretry_for=(OSError,), retry_backoff=True, max_retries=5, expires=ASKED_AGAIN_SECONDS
)
def finalise_call(_tenant_id: int, call_id: int) -> None:
    """Make the figures and the summary of a call that has ended. Doing it twice is harmless."""
    call = Call.objects.filter(pk=call_id).first()
    if call is not None:
        call_finalise(call=call)


@tenant_task(atomic=False, expires=ASKED_AGAIN_SECONDS)
def send_command(tenant_id: int, command_id: int) -> None:
    """Send an order to its carrier. It is claimed first, so twice is as good as once."""
    asyncio.run(_closing(dispatch.send(tenant_id, command_id)))


@tenant_task(atomic=False, expires=ASKED_AGAIN_SECONDS)
def send_message(tenant_id: int, message_id: int) -> None:
    """Send a written message. It is claimed first, so twice is as good as once."""
    asyncio.run(_closing(messaging.send(tenant_id, message_id)))


@tenant_task(atomic=False, expires=ASKED_AGAIN_SECONDS)
def fetch_message_file(tenant_id: int, file_id: int) -> None:
    """Bring what came with a message from its carrier. Doing it twice is harmless."""
    with claimed(f"message-file:{file_id}", seconds=message_files.MOST_SECONDS) as ours:
        if ours:
            asyncio.run(_closing(message_files.fetch(tenant_id, file_id)))


async def _closing(work: Awaitable[None]) -> None:
    try:
        await work
    finally:
        await dispatch.close_all()


def _platform_is_open() -> bool:
    """Whether a server would take the sound of a call; nobody is called into silence."""
    from calls.line.presence import anybody_accepts  # as much as a server: only for who needs it

    return asyncio.run(anybody_accepts())


@shared_task  # type: ignore[untyped-decorator]
def run_campaigns() -> None:
    """Ask for a step of every campaign that has something to do, in every tenant."""
    if not _platform_is_open():
        return
    in_each_tenant(_run_campaigns_of)


def _run_campaigns_of(tenant_id: int) -> int:
    with tenant_transaction(tenant_id):
        underway = campaigns_underway()
    for campaign_id in underway:
        run_campaign.delay(tenant_id, campaign_id)
    return len(underway)


@tenant_task(expires=STEP_SECONDS)
def run_campaign(_tenant_id: int, campaign_id: int) -> None:
    """One step of a campaign; what it orders of carriers is sent once that is committed."""
    campaign_step(campaign_id=campaign_id)


@shared_task  # type: ignore[untyped-decorator]
def run_call_backs() -> None:
    """Ask for a step of every call-back that is due or whose call has ended, in every tenant."""
    if not _platform_is_open():
        return
    in_each_tenant(_run_call_backs_of)


def _run_call_backs_of(tenant_id: int) -> int:
    with tenant_transaction(tenant_id):
        underway = call_backs_underway(now=timezone.now())
    for call_back_id in underway:
        run_call_back.delay(tenant_id, call_back_id)
    return len(underway)


@tenant_task(expires=STEP_SECONDS)
def run_call_back(_tenant_id: int, call_back_id: int) -> None:
    """One step of a call-back; what it orders of a carrier is sent once that is committed."""
    call_back_step(call_back_id=call_back_id)


@shared_task  # type: ignore[untyped-decorator]
def sweep_calls() -> int:
    """Close the calls that no server holds any more, in every tenant; how many those were."""
    return in_each_tenant(_sweep_calls_of)


def _sweep_calls_of(tenant_id: int) -> int:
    now = timezone.now()
    with tenant_transaction(tenant_id):
        closed = calls_sweep(now=now)
    with tenant_transaction(tenant_id):
        calls_without_figures(now=now)
    return closed


@shared_task  # type: ignore[untyped-decorator]
def sweep_servers() -> int:
    """Have the calls of processes that are gone taken over, in every tenant; how many ended."""
    present = asyncio.run(present_processes())
    if present is None:  # `sweep_calls` finds them, later
        return 0
    now = timezone.now()

    def sweep(tenant_id: int) -> int:
        with tenant_transaction(tenant_id):
            return calls_of_gone_servers(present=present, now=now)

    return in_each_tenant(sweep)


@shared_task  # type: ignore[untyped-decorator]
def sweep_messages() -> int:
    """Finish, in every tenant, what a process that died left of written messages; how much."""
    return in_each_tenant(_sweep_messages_of)


def _sweep_messages_of(tenant_id: int) -> int:
    now = timezone.now()
    with tenant_transaction(tenant_id):
        told = messages_told(now=now)
    for carrier_name, carrier_id in told:
        try:
            with tenant_transaction(tenant_id):
                message_apply(carrier_name=carrier_name, carrier_id=carrier_id)
        except Exception:  # one message's defect must not keep the others waiting
            log.exception("%s: what was told of %s cannot be applied", carrier_name, carrier_id)
    with tenant_transaction(tenant_id):
        waiting = messages_waiting(now=now)
        files = message_files_waiting(now=now)
    for message_id in waiting:
        send_message.delay(tenant_id, message_id)
    for file_id in files:
        fetch_message_file.delay(tenant_id, file_id)
    return len(told) + len(waiting) + len(files)


@shared_task  # type: ignore[untyped-decorator]
def sweep_carriers() -> int:
    """Finish, in every tenant, what a process that died left of its carriers; how much."""
    return in_each_tenant(_sweep_carriers_of)


@shared_task  # type: ignore[untyped-decorator]
def forget_carrier_events() -> int:
    """Let go of what carriers told long ago; how many events."""
    now = timezone.now()

    def forget(tenant_id: int) -> int:
        with tenant_transaction(tenant_id):
            return events_forget(now=now)

    gone = in_each_tenant(forget)
    stray_events_forget(now=now)
    return gone


def _sweep_carriers_of(tenant_id: int) -> int:
    """Events that were kept and not applied, silent lines, orders that nobody sent."""
    now = timezone.now()
    with tenant_transaction(tenant_id):
        legs = legs_waiting(now=now)
    for carrier_name, leg in legs:
        try:
            with tenant_transaction(tenant_id):
                leg_apply(carrier_name=carrier_name, leg=leg)
        except Exception:  # one leg's defect must not keep the others waiting
            log.exception("%s: what was told of %s cannot be applied", carrier_name, leg)
    with tenant_transaction(tenant_id):
        orders = commands_waiting(now=now)
        silent = lines_sweep(now=now)
        recordings_overdue(now=now)
    for command_id in orders:
        outbox.post(tenant_id, command_id)
    return len(legs) + silent + len(orders)


@tenant_task(atomic=False)
def check_account(tenant_id: int, account_id: int) -> None:
    """Find out whether a carrier takes an account's keys, and note what it says."""
    asyncio.run(check(tenant_id, account_id))


@tenant_task(
    atomic=False,
    autoretry_for=(OSError, ProviderError),
    retry_backoff=True,
    max_retries=3,
    expires=OVERDUE.total_seconds(),
)
def fetch_recording(tenant_id: int, recording_id: int, url: str) -> None:
    """Bring a recording from its carrier. Doing it twice is harmless."""
    with claimed(f"recording:{recording_id}", seconds=RECORDING_SECONDS) as ours:
        if ours:
            asyncio.run(_closing(fetch(tenant_id, recording_id, url)))
