"""Memberships, API keys and the audit trail of the selected tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from tenants.admin.base import TenantModelAdmin
from tenants.models import ApiKey, AuditEntry, Membership
from tenants.permissions import LABELS


@admin.register(Membership)
class MembershipAdmin(TenantModelAdmin):
    """Who works for the tenant, and as what."""

    list_display = ("user", "role", "created_at")
    list_filter = ("role",)
    search_fields = ("user__email", "user__name")
    autocomplete_fields = ("user",)
    list_select_related = ("user",)


if TYPE_CHECKING:
    KeyModelForm = forms.ModelForm[ApiKey]
else:
    KeyModelForm = forms.ModelForm


class ApiKeyForm(KeyModelForm):
    """Scopes are ticked, not typed."""

    scopes = forms.MultipleChoiceField(
        choices=[(permission.value, label) for permission, label in LABELS.items()],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        label=gettext_lazy("Scopes"),
    )

    class Meta:
        model = ApiKey
        fields = ("name", "scopes", "expires_at")


@admin.register(ApiKey)
class ApiKeyAdmin(TenantModelAdmin):
    """Keys for programs. The key is shown once, on the page after its creation."""

    form = ApiKeyForm
    list_display = ("name", "prefix", "created_by", "last_used_at", "expires_at", "revoked_at")
    search_fields = ("name", "prefix")
    list_select_related = ("created_by",)
    fields = ("name", "scopes", "expires_at", "prefix", "created_by", "last_used_at", "revoked_at")
    readonly_fields = ("prefix", "created_by", "last_used_at", "revoked_at")
    actions = ("revoke",)

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """A key is revoked, not deleted: the audit trail names it."""
        return False

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if not change:
            obj.created_by = request.user  # type: ignore[assignment]
            request.new_api_key = obj.draw_secret()  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def response_add(
        self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None
    ) -> HttpResponseBase:
        """Show the whole key: on this page only, stored nowhere, not in a message cookie."""
        context = {
            **self.admin_site.each_context(request),
            "title": _("Copy this key now"),
            "opts": self.opts,
            "key": obj,
            "text": request.new_api_key,  # type: ignore[attr-defined]
        }
        response = TemplateResponse(request, "admin/tenants/api_key_created.html", context)
        add_never_cache_headers(response)
        return response

    @admin.action(description=_("Revoke the selected keys"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: models.QuerySet[ApiKey]) -> None:
        """Make keys useless at once and for good."""
        keys = list(queryset.filter(revoked_at=None))
        for key in keys:
            key.revoked_at = timezone.now()
            self.save_model(request, key, None, change=True)
        text = ngettext("%(n)d key revoked.", "%(n)d keys revoked.", len(keys))
        messages.success(request, text % {"n": len(keys)})


@admin.register(AuditEntry)
class AuditEntryAdmin(TenantModelAdmin):
    """The tenant's audit trail: to be read, by nobody to be changed."""

    list_display = ("at", "actor_label", "is_operator", "action", "target_label", "ip_address")
    list_filter = ("is_operator", "action", "target_type", "at")
    search_fields = ("action", "actor_label", "target_label", "=target_id")
    date_hierarchy = "at"

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """`?target_id=` is how an object's history leads here."""
        return lookup == "target_id" or super().lookup_allowed(lookup, value, request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Entries are written by deeds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False
