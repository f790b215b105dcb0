"""What carriers told us, word for word, before anything was made of it."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from calls.models.call import Channel
from tenants.models.base import TenantForeignKey, TenantOwned


class CarrierEvent(TenantOwned):
    """One event of a carrier, stored once, however often it comes.

    Its content never changes; `applied_at` says when the call took notice. `leg` is the carrier's
    id: an event may come before its leg is known to us. `call` is set where the address that the
    carrier was given names it, `session` where the carrier joins legs by one.
    """

    account = TenantForeignKey(
        "calls.CarrierAccount",
        on_delete=models.PROTECT,
        null=True,
        related_name="events",
        verbose_name=_("carrier account"),
    )
    carrier = models.CharField(_("carrier"), max_length=16, choices=Channel.choices)
    event_id = models.CharField(_("event"), max_length=200)
    call = TenantForeignKey(
        "calls.Call",
        on_delete=models.PROTECT,
        null=True,
        related_name="carrier_events",
        verbose_name=_("call"),
    )
    leg = models.CharField(_("leg"), max_length=200, blank=True)
    session = models.CharField(_("carrier's session"), max_length=200, blank=True)
    message = models.CharField(
        _("message"), max_length=200, blank=True, help_text=_("The carrier's id of it")
    )
    kind = models.CharField(_("kind"), max_length=64)
    occurred_at = models.DateTimeField(_("occurred at"))
    payload = models.JSONField(_("content"))
    received_at = models.DateTimeField(_("received at"), auto_now_add=True)
    applied_at = models.DateTimeField(_("applied at"), null=True)
    fault = models.CharField(_("why it could not be applied"), max_length=300, blank=True)

    class Meta(TenantOwned.Meta):
        verbose_name = _("carrier event")
        verbose_name_plural = _("carrier events")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "carrier", "event_id"], name="calls_carrier_event_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["tenant", "carrier", "leg"],
                condition=~models.Q(leg=""),
                name="calls_carrier_event_by_leg",
            ),
            models.Index(
                fields=["tenant", "carrier", "message"],
                condition=~models.Q(message=""),
                name="calls_carrier_event_by_message",
            ),
            models.Index(
                fields=["tenant", "received_at"],
                condition=models.Q(applied_at=None),
                name="calls_carrier_event_waiting",
            ),
            models.Index(fields=["tenant", "received_at"], name="calls_carrier_event_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.carrier} {self.kind} {self.event_id}"


class StrayEvent(models.Model):
    """An event that led to no tenant. Global: operators alone see it."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    carrier = models.CharField(_("carrier"), max_length=16)
    event_id = models.CharField(_("event"), max_length=200)
    kind = models.CharField(_("kind"), max_length=64)
    payload = models.JSONField(_("content"))
    received_at = models.DateTimeField(_("received at"), auto_now_add=True)

    class Meta:
        verbose_name = _("stray event")
        verbose_name_plural = _("stray events")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["carrier", "event_id"], name="calls_stray_event_once")
        ]

    def __str__(self) -> str:
        return f"{self.carrier} {self.kind} {self.event_id}"
