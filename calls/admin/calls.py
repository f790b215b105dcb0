"""Calls in the back office: read, never written."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from calls.admin.journal import JournalInline
from calls.admin.placing import PlacesCalls
from calls.admin.read_only import ReadOnly
from calls.end_reasons import END_REASONS, end_reason_label
from calls.models import Call, CallEvent, Recording, RefusedCall, Utterance
from tenants.admin import TenantModelAdmin

# A call's page, from what people ask for first.
SECTIONS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (
        None,
        (
            "state", "reason_label", "direction", "from_number", "to_number", "channel", "agent",
            "version", "language", "summary",
        ),
    ),
    (
        _("Course"),
        (
            "started_at", "answered_at", "ended_at", "number", "routing", "greeting", "context",
            "transfer_to", "recording_consent", "user", "outline",
        ),
    ),
    (
        _("Figures"),
        (
            "duration_ms", "response_ms", "interruptions", "caller_talk_ms", "agent_talk_ms",
            "talk_ms", "silence_ms", "longest_silence_ms",
        ),
    ),
)  # fmt: skip


class UtteranceInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """What was said."""

    model = Utterance
    fields = ("sequence", "role", "text", "heard_text", "interrupted", "seconds", "answer_ms")
    readonly_fields = fields
    ordering = ("sequence",)
    extra = 0
    tab = True

    @display(description=_("at (s)"))  # type: ignore[untyped-decorator]
    def seconds(self, utterance: Utterance) -> str:
        """From and to, in seconds since the answer."""
        return f"{utterance.started_ms / 1000:.1f} - {utterance.ended_ms / 1000:.1f}"

    @display(description=_("answer time (ms)"))  # type: ignore[untyped-decorator]
    def answer_ms(self, utterance: Utterance) -> str:
        """From the caller's last sound to the agent's first."""
        latency = utterance.metrics.get("response_latency")
        return "" if latency is None else f"{latency:.0f}"


class CallEventInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """What happened."""

    model = CallEvent
    fields = ("sequence", "at_ms", "name", "data")
    readonly_fields = fields
    ordering = ("sequence",)
    extra = 0
    tab = True


class LiveFilter(admin.SimpleListFilter):
    """Calls that somebody is on right now."""

    title = _("on the line")
    parameter_name = "live"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """One choice besides all."""
        return [("yes", _("Live now"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Call]) -> QuerySet[Call]:
        """Those, or all."""
        return queryset.filter(state="live") if self.value() == "yes" else queryset


class EndReasonFilter(admin.SimpleListFilter):
    """Why a call ended, by words instead of codes."""

    title = _("end reason")
    parameter_name = "end_reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """All that there may be: nobody reads every call to find out which there are."""
        return list(END_REASONS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Call]) -> QuerySet[Call]:
        """Those, or all."""
        return queryset.filter(end_reason=self.value()) if self.value() else queryset


@admin.register(Call)
class CallAdmin(ReadOnly, PlacesCalls, TenantModelAdmin):
    """Every call of the selected tenant, live ones first among them by a filter."""

    list_display = (
        "started", "state_label", "agent", "channel", "direction", "other_number", "seconds",
        "reason_label",
    )  # fmt: skip
    list_filter = (
        LiveFilter, "state", "channel", "direction", EndReasonFilter,
    )  # fmt: skip
    list_select_related = ("agent",)
    search_fields = ("from_number", "to_number", "carrier_id")
    date_hierarchy = "started_at"
    show_full_result_count = False
    inlines = (UtteranceInline, CallEventInline, JournalInline)
    actions_list = ("place_call",)

    @display(  # type: ignore[untyped-decorator]
        description=_("state"),
        label={"live": "success", "ringing": "warning", "ended": "info"},
        ordering="state",
    )
    def state_label(self, call: Call) -> tuple[str, str]:
        """Coloured by how alive it is."""
        return call.state, call.get_state_display()

    @display(description=_("started at"), ordering="started_at")  # type: ignore[untyped-decorator]
    def started(self, call: Call) -> str:
        """Short, so that the row has room for how the call ended."""
        at = date_format(localtime(call.started_at), "SHORT_DATETIME_FORMAT")
        return format_html('<span class="whitespace-nowrap">{}</span>', at)

    @display(description=_("number"))  # type: ignore[untyped-decorator]
    def other_number(self, call: Call) -> str:
        """Whom the agent talks with."""
        return call.other_party

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """What people ask for first; a field that no section names is among the technical ones."""
        named = {name for _title, names in SECTIONS for name in names} | {"end_reason"}
        rest = [name for name in self.get_fields(request, obj) if name not in named]
        sections = [*SECTIONS, (_("Technical"), tuple(rest))]
        return [(title, {"fields": names}) for title, names in sections]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The end in words is no field of the model."""
        return (*super().get_readonly_fields(request, obj), "reason_label")

    @display(description=_("end reason"), ordering="end_reason")  # type: ignore[untyped-decorator]
    def reason_label(self, call: Call) -> str:
        """Why it ended, once it has."""
        return end_reason_label(call.end_reason) if call.end_reason else ""

    @display(description=_("duration (s)"), ordering="duration_ms")  # type: ignore[untyped-decorator]
    def seconds(self, call: Call) -> str:
        """Whole seconds, once the call is over."""
        return "" if call.duration_ms is None else f"{call.duration_ms / 1000:.0f}"


@admin.register(Recording)
class RecordingAdmin(ReadOnly, TenantModelAdmin):
    """The recordings' figures. They are heard through the API, which notes who listens."""

    list_display = ("created_at", "call_link", "state", "seconds", "size_bytes", "sample_rate")
    list_filter = ("state",)
    list_select_related = ("call",)

    @display(description=_("call"))  # type: ignore[untyped-decorator]
    def call_link(self, recording: Recording) -> str:
        """To the call's page."""
        address = reverse("admin:calls_call_change", args=[recording.call_id])
        return format_html('<a href="{}">{}</a>', address, recording.call)

    @display(description=_("duration (s)"), ordering="duration_ms")  # type: ignore[untyped-decorator]
    def seconds(self, recording: Recording) -> str:
        """Whole seconds."""
        return "" if recording.duration_ms is None else f"{recording.duration_ms / 1000:.0f}"


@admin.register(RefusedCall)
class RefusedCallAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """Calls that nobody took: mostly for numbers that no tenant has."""

    list_display = ("at", "reason", "carrier", "from_number", "to_number", "language")
    list_filter = ("reason", "carrier", "language")
    search_fields = ("from_number", "to_number", "carrier_id")
    date_hierarchy = "at"
