"""What belongs to no tenant: the tenants themselves, people, and the log of guesses."""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from axes.admin import AccessAttemptAdmin, AccessLogAdmin
from axes.models import AccessAttempt, AccessLog
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from tenants import audit
from tenants.models import Tenant, User
from tenants.operators import operator_transaction


class PublicIdentifier:
    """Shows the public id by a name that can be translated, which the field has not."""

    @admin.display(description=_("public id"))
    def identifier(self, row: Tenant | User) -> str:
        return str(row.public_id)


@admin.register(Tenant)
class TenantAdmin(PublicIdentifier, ModelAdmin):  # type: ignore[misc]
    """Tenants are made and closed here. Closing one locks its people and keys out."""

    list_display = ("name", "slug", "language", "time_zone", "is_active", "created_at")
    list_filter = ("is_active", "language")
    search_fields = ("name", "slug")
    readonly_fields = ("identifier", "created_at", "updated_at")
    prepopulated_fields = {"slug": ("name",)}

    def has_delete_permission(self, request: HttpRequest, obj: Tenant | None = None) -> bool:
        """A tenant is closed, not deleted: its records have to stay."""
        return False

    def save_model(self, request: HttpRequest, obj: Tenant, form: Any, change: bool) -> None:
        before = audit.snapshot(Tenant.objects.get(pk=obj.pk)) if change else {}
        super().save_model(request, obj, form, change)
        operator: User = request.user  # type: ignore[assignment]
        with operator_transaction(obj.pk, operator=operator):
            audit.record(
                action="tenant.changed" if change else "tenant.created",
                actor=operator,
                target=obj,
                changes=audit.difference(before, audit.snapshot(obj)),
            )


@admin.register(User)
class PersonAdmin(PublicIdentifier, UserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]
    """People. Which tenant they work for is said by memberships, inside the tenant."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("email", "name", "is_staff", "is_active", "last_login")
    list_filter = ("is_staff", "is_superuser", "is_active")
    search_fields = ("email", "name")
    ordering = ("email",)
    readonly_fields = ("identifier", "last_login", "date_joined")
    filter_horizontal = ("groups", "user_permissions")
    fieldsets = (
        (None, {"fields": ("email", "password", "name", "identifier")}),
        (_("Log in"), {"fields": ("is_active", "last_login", "date_joined")}),
        (
            _("Back office"),
            {"fields": ("is_staff", "is_superuser", "groups", "user_permissions")},
        ),
    )
    add_fieldsets = (
        (None, {"fields": ("email", "name", "usable_password", "password1", "password2")}),
    )

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """A person is deactivated, not deleted: the audit trail names them."""
        return False


class SecondFactorAdmin(ModelAdmin):  # type: ignore[misc]
    """For taking a lost second factor away; the secret itself is not shown."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    fields = readonly_fields = ("user", "type", "created_at", "last_used_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Only its owner can set one up."""
        return False


class GuessAdmin(AccessAttemptAdmin, ModelAdmin):  # type: ignore[misc]
    """Failed log-ins; deleting a row lets the person try again."""


class LogInAdmin(AccessLogAdmin, ModelAdmin):  # type: ignore[misc]
    """Log-ins and log-outs."""


class RightsGroupAdmin(GroupAdmin, ModelAdmin):  # type: ignore[misc]
    """Groups of operators' rights."""


for replaced, page in (
    (Authenticator, SecondFactorAdmin),
    (AccessAttempt, GuessAdmin),
    (AccessLog, LogInAdmin),
    (Group, RightsGroupAdmin),
):
    if admin.site.is_registered(replaced):
        admin.site.unregister(replaced)
    admin.site.register(replaced, page)
if admin.site.is_registered(EmailAddress):
    admin.site.unregister(EmailAddress)  # addresses are edited on the user's own page
