"""What agents kept for people: shown, and marked once somebody has dealt with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import display

from calls.admin.read_only import ReadOnly
from calls.models import CallBack, TakenMessage
from calls.services.notes import AlreadySettled, call_back_settle, message_settle
from tenants.admin import TenantModelAdmin


class OpenFilter(admin.SimpleListFilter):
    """Messages that nobody has dealt with."""

    title = _("dealt with")
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """One choice besides all."""
        return [("yes", _("Still open"))]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[TakenMessage]
    ) -> QuerySet[TakenMessage]:
        """Those, or all."""
        return queryset.filter(handled_at=None) if self.value() == "yes" else queryset


class NoteAdmin(ReadOnly, TenantModelAdmin):
    """What the two kinds have in common."""

    list_select_related = ("call", "call__agent")

    def has_settle_permission(self, request: HttpRequest) -> bool:
        """What was said stays as it is; whoever may change notes may deal with them."""
        name = get_permission_codename("change", self.opts)
        return bool(request.user.has_perm(f"{self.opts.app_label}.{name}"))

    @display(description=_("call"))  # type: ignore[untyped-decorator]
    def call_link(self, note: Any) -> str:
        """To the call in which it was said."""
        address = reverse("admin:calls_call_change", args=[note.call_id])
        return format_html('<a href="{}">{}</a>', address, note.call)

    def settle(
        self, request: HttpRequest, chosen: QuerySet[Any], settle: Callable[[Any], None]
    ) -> None:
        """Settle those that are open, and say how many that were."""
        done = 0
        for note in chosen:
            try:
                settle(note)
            except AlreadySettled:
                continue
            done += 1
        text = ngettext("%(count)d was marked.", "%(count)d were marked.", done) % {"count": done}
        messages.success(request, text)


@admin.register(TakenMessage)
class TakenMessageAdmin(NoteAdmin):
    """Messages for the people of the company."""

    list_display = ("created_at", "text", "from_name", "number", "for_whom", "call_link",
                    "handled_at")  # fmt: skip
    list_filter = (OpenFilter,)
    search_fields = ("text", "from_name", "number", "for_whom")
    date_hierarchy = "created_at"
    actions = ("mark_handled",)

    @admin.action(description=_("Mark as dealt with"), permissions=["settle"])
    def mark_handled(self, request: HttpRequest, chosen: QuerySet[TakenMessage]) -> None:
        """Somebody has read them and done what there was to do."""
        actor: Any = request.user
        self.settle(request, chosen, lambda note: message_settle(message=note, actor=actor))


@admin.register(CallBack)
class CallBackAdmin(NoteAdmin):
    """Whom to call again, and when."""

    list_display = ("due", "time_zone", "number", "reason", "state", "outcome", "tries",
                    "call_link", "settled_at")  # fmt: skip
    list_filter = ("state", "outcome")
    search_fields = ("number", "reason")
    date_hierarchy = "due_at"
    actions = ("mark_done", "cancel")

    @display(description=_("due at"), ordering="due_at")  # type: ignore[untyped-decorator]
    def due(self, call_back: CallBack) -> str:
        """By the clock that it was agreed on."""
        return f"{call_back.local_due_at:%Y-%m-%d %H:%M}"

    @admin.action(description=_("Mark as called back"), permissions=["settle"])
    def mark_done(self, request: HttpRequest, chosen: QuerySet[CallBack]) -> None:
        """They were called again."""
        self._settle_as(request, chosen, CallBack.State.DONE)

    @admin.action(description=_("Cancel these call-backs"), permissions=["settle"])
    def cancel(self, request: HttpRequest, chosen: QuerySet[CallBack]) -> None:
        """They need not be called again."""
        self._settle_as(request, chosen, CallBack.State.CANCELLED)

    def _settle_as(
        self, request: HttpRequest, chosen: QuerySet[CallBack], state: CallBack.State
    ) -> None:
        actor: Any = request.user
        self.settle(
            request,
            chosen,
            lambda note: call_back_settle(call_back=note, state=state, actor=actor),
        )
