"""Whom not to call, and the rules of placed calls, in the back office."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action

from calls.admin.files import CsvFileForm
from calls.errors import FileFaults
from calls.models import DoNotCall, OutboundSettings
from calls.services.do_not_call import do_not_call_import
from tenants import audit
from tenants.admin import TenantModelAdmin


@admin.register(DoNotCall)
class DoNotCallAdmin(TenantModelAdmin):
    """Numbers that are never called."""

    list_display = ("number", "reason", "source", "added_by", "created_at")
    list_filter = ("source",)
    search_fields = ("number", "reason", "added_by")
    fields = ("number", "reason", "source", "added_by", "created_at")
    readonly_fields = ("source", "added_by", "created_at")
    actions_list = ("import_numbers",)

    def save_model(self, request: HttpRequest, obj: DoNotCall, form: Any, change: bool) -> None:
        """With who entered it."""
        if not change:
            obj.added_by = audit.label_of(cast(Any, request.user))
        super().save_model(request, obj, form, change)

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Import numbers"),
        icon="upload_file",
        url_path="import",
        permissions=["calls.add_donotcall"],
    )
    def import_numbers(self, request: HttpRequest) -> HttpResponse:
        """Bring a file's numbers into the list, all of them or none."""
        listed = reverse("admin:calls_donotcall_changelist")
        if request.tenant is None:  # type: ignore[attr-defined]
            messages.warning(request, _("Select a tenant first: its data is only seen inside it."))
            return HttpResponseRedirect(reverse("admin:index"))
        form = CsvFileForm(request.POST or None, request.FILES or None)
        if form.is_valid():
            try:
                new = do_not_call_import(
                    text=form.cleaned_data["file"], actor=cast(Any, request.user)
                )
            except FileFaults as error:
                form.faults = error.problems
            else:
                messages.success(
                    request, _("%(count)d numbers are new in the list.") % {"count": new}
                )
                return HttpResponseRedirect(listed)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Import numbers not to call"),
            "opts": self.opts,
            "form": form,
            "button": _("Import"),
            "back": listed,
        }
        return TemplateResponse(request, "admin/calls/form.html", context)


@admin.register(OutboundSettings)
class OutboundSettingsAdmin(TenantModelAdmin):
    """One row: when may be called, and how many at once."""

    list_display = ("window_opens", "window_closes", "max_at_once")
    list_display_links = list_display
    fields = ("window_opens", "window_closes", "max_at_once", "dials_call_backs")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        """The form that shows what holds, where nobody has changed it yet."""
        if request.tenant is not None and self.has_add_permission(request):  # type: ignore[attr-defined]
            return redirect("admin:calls_outboundsettings_add")
        return super().changelist_view(request, extra_context)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Only where there is none yet."""
        allowed: bool = super().has_add_permission(request)
        return allowed and not self.get_queryset(request).exists()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """They are changed, never removed."""
        return False
