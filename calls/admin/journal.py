"""What PBXs report of their calls, beside the call of ours and all of them by number."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import display

from calls.admin.read_only import ReadOnly
from calls.models import JournalEntry
from tenants.admin import TenantModelAdmin


class JournalInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """What the PBX reported of a call of ours."""

    model = JournalEntry
    fields = ("started_at", "kind", "number", "extension", "name", "queue", "ended_at")
    readonly_fields = fields
    ordering = ("started_at",)
    extra = 0
    tab = True


@admin.register(JournalEntry)
class JournalEntryAdmin(ReadOnly, TenantModelAdmin):
    """Every call at the tenant's PBX, also between people; a customer's by their number."""

    list_display = ("started_at", "kind", "number", "name", "extension", "queue", "talked",
                    "call_link", "recording")  # fmt: skip
    list_filter = ("kind",)
    list_select_related = ("call", "call__agent")
    search_fields = ("number", "name", "extension", "email", "queue")
    date_hierarchy = "started_at"
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[JournalEntry]:
        """With what the list tells of each one's call."""
        return super().get_queryset(request).prefetch_related("call__recordings")

    @display(description=_("talked (s)"))  # type: ignore[untyped-decorator]
    def talked(self, entry: JournalEntry) -> str:
        """Whole seconds from the answer to the end; nothing where nobody answered."""
        if entry.established_at is None or entry.ended_at is None:
            return ""
        return f"{max(0.0, (entry.ended_at - entry.established_at).total_seconds()):.0f}"

    @display(description=_("call"))  # type: ignore[untyped-decorator]
    def call_link(self, entry: JournalEntry) -> str:
        """To the call of ours that it is about."""
        if entry.call is None:
            return ""
        address = reverse("admin:calls_call_change", args=[entry.call_id])
        return format_html('<a href="{}">{}</a>', address, entry.call)

    @display(description=_("recording"))  # type: ignore[untyped-decorator]
    def recording(self, entry: JournalEntry) -> str:
        """To where it is heard by whoever may, which is noted."""
        if entry.call is None or not entry.call.recordings.all():
            return ""
        address = reverse("dashboard:call", args=[entry.call.public_id])
        return format_html('<a href="{}#recording">{}</a>', address, _("listen"))
