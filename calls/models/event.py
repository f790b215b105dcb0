"""What happened, kept for good: rows are only ever added."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.models.base import TenantForeignKey, TenantOwned


class CallEvent(TenantOwned):
    """Something that happened `at_ms` into a call; `calls.voice.events` lists the names."""

    call = TenantForeignKey(
        "calls.Call", on_delete=models.PROTECT, related_name="events", verbose_name=_("call")
    )
    sequence = models.PositiveIntegerField(_("sequence"))
    at_ms = models.FloatField(_("at (ms)"))
    name = models.CharField(_("name"), max_length=64)
    data = models.JSONField(_("data"), default=dict)
    created_at = models.DateTimeField(_("stored at"), auto_now_add=True)

    class Meta(TenantOwned.Meta):
        verbose_name = _("call event")
        verbose_name_plural = _("call events")
        ordering = ["call_id", "sequence"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "call", "sequence"], name="calls_event_sequence"
            )
        ]

    def __str__(self) -> str:
        return f"{self.at_ms:.0f} ms {self.name}"


class RefusedCall(models.Model):
    """A call to a number that nobody has. Global: no tenant is known, so operators see it."""

    class Reason(models.TextChoices):
        UNKNOWN_NUMBER = "unknown_number", _("Unknown number")
        NO_AGENT = "no_agent", _("No published agent")
        BUSY = "busy", _("Busy or shutting down")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    at = models.DateTimeField(_("at"), auto_now_add=True)
    carrier = models.CharField(_("carrier"), max_length=16)
    carrier_id = models.CharField(_("carrier's id"), max_length=200)
    from_number = models.CharField(_("from"), max_length=100, blank=True)
    to_number = models.CharField(_("to"), max_length=100, blank=True)
    reason = models.CharField(_("reason"), max_length=32, choices=Reason.choices)
    language = models.CharField(_("answered in"), max_length=16)

    class Meta:
        verbose_name = _("refused call")
        verbose_name_plural = _("refused calls")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["carrier", "carrier_id", "reason"], name="calls_refused_once"
            ),
            models.CheckConstraint(
                condition=models.Q(reason__in=["unknown_number", "no_agent", "busy"]),
                name="calls_refused_reason_is_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.from_number} → {self.to_number}"
