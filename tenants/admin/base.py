"""The guard of the back office: one selected tenant at a time, everything on the record."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import messages
from django.contrib.admin.checks import ModelAdminChecks
from django.db import IntegrityError, models
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from unfold.admin import ModelAdmin

from tenants import audit
from tenants.models import AuditEntry, TenantOwned


class TenantModelAdmin(ModelAdmin):  # type: ignore[misc]
    """Back-office pages of a tenant model, inside the tenant that the operator selected.

    Without one the pages lead to the selector. Each look and each change is an audit entry
    of the tenant whose data it is; Django's own log, which has no tenant, gets none.
    """

    # Unfold's ask the database for the rights of buttons: there is none before `migrate`.
    checks_class = ModelAdminChecks

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        if request.tenant is None:  # type: ignore[attr-defined]
            return models.QuerySet(self.model).none()
        queryset: models.QuerySet[Any] = super().get_queryset(request)
        return queryset

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        return self._inside(request, "listed", super().changelist_view, extra_context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponseBase:
        verb = "viewed" if object_id else None
        view = super().changeform_view
        try:
            return self._inside(request, verb, view, object_id, form_url, extra_context)
        except IntegrityError:  # of a row that this tenant may not see, or that came meanwhile
            messages.error(request, _("It is there already, perhaps at another tenant."))
            return HttpResponseRedirect(request.get_full_path())

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        return self._inside(request, "viewed", super().delete_view, object_id, extra_context)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        """The object's audit entries, instead of Django's log."""
        return self._inside(request, None, self._audit_trail, object_id)

    def _inside(
        self,
        request: HttpRequest,
        verb: str | None,
        view: Callable[..., HttpResponseBase],
        *args: Any,
    ) -> HttpResponseBase:
        if request.tenant is None:  # type: ignore[attr-defined]
            messages.warning(request, _("Select a tenant first: its data is only seen inside it."))
            return HttpResponseRedirect(reverse("admin:index"))
        if verb is not None and request.method == "GET":
            self._note(request, verb, self._seen(request, args))
        return view(request, *args)

    def _seen(self, request: HttpRequest, args: tuple[Any, ...]) -> models.Model | None:
        key = args[0] if args and isinstance(args[0], str) else None
        found: models.Model | None = self.get_object(request, key) if key else None
        return found

    def _audit_trail(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        target = self.get_object(request, object_id)
        query = f"?target_id={target.public_id}" if hasattr(target, "public_id") else ""
        return HttpResponseRedirect(reverse("admin:tenants_auditentry_changelist") + query)

    def _note(
        self,
        request: HttpRequest,
        verb: str,
        target: models.Model | None,
        changes: dict[str, Any] | None = None,
        model: type[models.Model] | None = None,
    ) -> None:
        if model is AuditEntry or (model is None and self.model is AuditEntry):
            return
        name = (model or self.model)._meta.model_name
        audit.record(
            action=f"{name}.{verb}",
            actor=request.user,  # type: ignore[arg-type]
            target=target,
            changes=changes,
        )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        before = audit.snapshot(type(obj).objects.get(pk=obj.pk)) if change else {}
        super().save_model(request, obj, form, change)
        changes = audit.difference(before, audit.snapshot(obj))
        self._note(request, "changed" if change else "created", obj, changes)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self._note(request, "deleted", obj, audit.difference(audit.snapshot(obj), {}))
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Iterable[TenantOwned]) -> None:
        for obj in queryset:
            self.delete_model(request, obj)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        for verb, rows in (
            ("created", formset.new_objects),
            ("changed", [row for row, _fields in formset.changed_objects]),
            ("deleted", formset.deleted_objects),
        ):
            for row in rows:
                self._note(request, verb, row, {"inline": audit.snapshot(row)}, model=type(row))

    def log_addition(self, request: HttpRequest, obj: models.Model, message: Any) -> None:
        """Nothing: `save_model` has audited it."""

    def log_change(self, request: HttpRequest, obj: models.Model, message: Any) -> None:
        """Nothing: `save_model` has audited it."""

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:
        """Nothing: `delete_model` has audited it."""
