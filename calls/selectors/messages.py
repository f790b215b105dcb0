"""Reading written messages. All run inside the tenant's context."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from calls.models import Message, MessageFile


def recent_messages() -> QuerySet[Message]:
    """The tenant's messages with their files, the latest first."""
    found: QuerySet[Message] = (
        Message.objects.select_related("number").prefetch_related("files").order_by("-at", "-id")
    )
    return found


def message_file(public_id: UUID | str, place: int) -> MessageFile:
    """A file that came with a message and is here. Raises MessageFile.DoesNotExist."""
    file: MessageFile = MessageFile.objects.select_related("tenant").get(
        message__public_id=public_id, place=place, state=MessageFile.State.READY
    )
    return file
