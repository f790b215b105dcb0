"""Written messages in the back office: read, never written."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import display

from calls.admin.read_only import ReadOnly
from calls.models import Message, MessageFile
from tenants.admin import TenantModelAdmin


class MessageFileInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """What came with it. It is fetched through the API, which asks who wants it."""

    model = MessageFile
    fields = ("place", "state", "content_type", "size_bytes", "fault")
    readonly_fields = fields
    ordering = ("place",)
    extra = 0


@admin.register(Message)
class MessageAdmin(ReadOnly, TenantModelAdmin):
    """Every SMS and WhatsApp message of the selected tenant, the latest first."""

    list_display = ("at", "kind", "direction", "party", "own_number", "beginning", "state_label")
    list_filter = ("kind", "direction", "state", "carrier")
    search_fields = ("party", "own_number", "text", "carrier_id")
    date_hierarchy = "at"
    inlines = (MessageFileInline,)

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What is for the machinery alone."""
        return ("key", "digest", "attempts", "claimed_at", "due_at")

    @display(description=_("text"))  # type: ignore[untyped-decorator]
    def beginning(self, message: Message) -> str:
        """As much of it as fits a row; a template by its name."""
        return str(message.text or message.template)[:80]

    @display(  # type: ignore[untyped-decorator]
        description=_("state"),
        label={
            "queued": "info",
            "unknown": "warning",
            "sent": "info",
            "failed": "danger",
            "delivered": "success",
            "read": "success",
            "received": "success",
        },
        ordering="state",
    )
    def state_label(self, message: Message) -> tuple[str, str]:
        """Coloured by how well it went."""
        return message.state, message.get_state_display()
