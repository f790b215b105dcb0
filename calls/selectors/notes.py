"""Reading what agents kept for people. All run inside the tenant's context."""

from __future__ import annotations

from django.db.models import QuerySet

from calls.models import Call, CallBack, Direction, TakenMessage


def taken_messages() -> QuerySet[TakenMessage]:
    """The tenant's messages with their calls, the latest first."""
    found: QuerySet[TakenMessage] = TakenMessage.objects.select_related("call").order_by(
        "-created_at", "-id"
    )
    return found


def call_backs() -> QuerySet[CallBack]:
    """The tenant's call-backs with their calls, the latest due first."""
    calls = CallBack.objects.select_related("call", "placed")
    found: QuerySet[CallBack] = calls.order_by("-due_at", "-id")
    return found


def open_messages() -> QuerySet[TakenMessage]:
    """Those that nobody has dealt with."""
    return taken_messages().filter(handled_at=None)


def open_call_backs() -> QuerySet[CallBack]:
    """Those still to be made, by agents or by people, the next due first."""
    return call_backs().filter(state__in=CallBack.OPEN).order_by("due_at", "id")


def called_back_for(call: Call) -> Call | None:
    """The call in which the person asked to be called back, if this is the call-back."""
    if call.direction != Direction.OUTBOUND:
        return None
    found: CallBack | None = (
        CallBack.objects.filter(placed=call).select_related("call", "call__agent").first()
    )
    return found.call if found is not None else None
