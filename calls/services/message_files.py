"""What becomes of the files of messages."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from calls.models import MessageFile

RETRY_AFTER = timedelta(minutes=3)  # longer than one download may take
GIVE_UP_AFTER = timedelta(hours=1)

_State = MessageFile.State


def message_file_fetched(*, file_id: int, content_type: str, size_bytes: int) -> None:
    """It is in its folder, whole."""
    _waiting(file_id).update(
        state=_State.READY,
        content_type=content_type,
        size_bytes=size_bytes,
        updated_at=timezone.now(),
    )


def message_file_missing(*, file_id: int, fault: str) -> None:
    """It will not be had, or is not taken."""
    _waiting(file_id).update(state=_State.MISSING, fault=fault[:300], updated_at=timezone.now())


def message_file_delayed(*, file_id: int, fault: str) -> None:
    """It could not be had now; the sweeper has it asked for again."""
    _waiting(file_id).update(fault=fault[:300], updated_at=timezone.now())


def message_files_waiting(*, now: datetime) -> list[int]:
    """The current tenant's files that are to be asked for again; those in vain are given up."""
    waiting = MessageFile.objects.filter(state=_State.WAITING)
    waiting.filter(created_at__lt=now - GIVE_UP_AFTER).update(state=_State.MISSING, updated_at=now)
    late = waiting.filter(updated_at__lt=now - RETRY_AFTER)
    asked = list(late.order_by("updated_at").values_list("pk", flat=True)[:500])
    waiting.filter(pk__in=asked).update(updated_at=now)
    return asked


def _waiting(file_id: int) -> QuerySet[MessageFile]:
    found: QuerySet[MessageFile] = MessageFile.objects.filter(pk=file_id, state=_State.WAITING)
    return found
