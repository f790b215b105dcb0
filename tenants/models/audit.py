"""What was done, by whom, to what. Rows are only ever added."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.models.base import TenantOwned


class AuditEntry(TenantOwned):
    """One deed. Written by `tenants.audit.record`; the database refuses change and removal."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    at = models.DateTimeField(_("at"), auto_now_add=True)
    action = models.CharField(_("action"), max_length=64)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        verbose_name=_("actor"),
    )
    actor_label = models.CharField(
        _("actor as known then"), max_length=200, help_text=_("A user, an API key or a system part")
    )
    is_operator = models.BooleanField(_("by an operator"), default=False)
    target_type = models.CharField(_("target type"), max_length=100, blank=True)
    target_id = models.CharField(_("target"), max_length=64, blank=True)
    target_label = models.CharField(_("target as known then"), max_length=200, blank=True)
    changes = models.JSONField(_("changes"), default=dict)
    ip_address = models.GenericIPAddressField(_("IP address"), null=True)

    class Meta(TenantOwned.Meta):
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["tenant", "-at"], name="tenants_audit_by_time"),
            models.Index(
                fields=["tenant", "target_type", "target_id"], name="tenants_audit_by_target"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor_label}: {self.action}"
