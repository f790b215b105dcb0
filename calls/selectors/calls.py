"""Reading calls. All run inside the tenant's context: another tenant's call is not found."""

from __future__ import annotations

from uuid import UUID

from django.db.models import OuterRef, Prefetch, QuerySet, Subquery

from calls.models import (
    Call,
    CallBack,
    CallEvent,
    CampaignAttempt,
    Recording,
    TakenMessage,
    Utterance,
)


def recent_calls() -> QuerySet[Call]:
    """The tenant's calls with what a list shows of them, the latest first."""
    calls: QuerySet[Call] = Call.objects.select_related("agent", "version", "number").order_by(
        "-started_at", "-id"
    )
    return calls


def with_campaigns(calls: QuerySet[Call]) -> QuerySet[Call]:
    """The calls, each with its `campaign`: the name of the one that it was placed for, or None."""
    attempts = CampaignAttempt.objects.filter(call=OuterRef("pk"))
    return calls.annotate(campaign=Subquery(attempts.values("contact__campaign__name")[:1]))


def call_for(public_id: UUID | str) -> Call:
    """One call with all that was said and done in it. Raises Call.DoesNotExist."""
    call: Call = with_campaigns(call_details()).get(public_id=public_id)
    return call


def call_details() -> QuerySet[Call]:
    """The tenant's calls with everything that a call's page shows, in order."""
    return recent_calls().prefetch_related(
        Prefetch("utterances", Utterance.objects.order_by("sequence")),
        Prefetch("events", CallEvent.objects.order_by("sequence")),
        "recordings",
        Prefetch("taken_messages", TakenMessage.objects.order_by("sequence")),
        Prefetch("call_backs", CallBack.objects.select_related("placed").order_by("sequence")),
    )


def recording_of(public_id: UUID | str, recording: UUID | None = None) -> Recording:
    """One recording of a call; the first, ours before the carrier's, where none is named.

    Raises Recording.DoesNotExist.
    """
    of_call = Recording.objects.select_related("call", "tenant").filter(call__public_id=public_id)
    if recording is not None:
        of_call = of_call.filter(public_id=recording)
    found: Recording | None = of_call.first()
    if found is None:
        raise Recording.DoesNotExist(f"call {public_id} was not recorded")
    return found
