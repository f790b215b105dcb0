"""What was said."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from tenants.models.base import TenantForeignKey, TenantOwned


class Role(models.TextChoices):
    """Who spoke."""

    CALLER = "caller", _("Caller")
    AGENT = "agent", _("Agent")


class Utterance(TenantOwned):
    """One side's turn. `heard_text` is what reached the other side."""

    Role = Role

    call = TenantForeignKey(
        "calls.Call", on_delete=models.CASCADE, related_name="utterances", verbose_name=_("call")
    )
    sequence = models.PositiveIntegerField(_("sequence"))
    role = models.CharField(_("role"), max_length=8, choices=Role.choices)
    text = models.TextField(_("text"))
    heard_text = models.TextField(_("heard text"), blank=True)
    interrupted = models.BooleanField(_("interrupted"), default=False)
    started_ms = models.FloatField(_("started (ms)"))
    ended_ms = models.FloatField(_("ended (ms)"))
    metrics = models.JSONField(_("metrics"), default=dict, blank=True)
    created_at = models.DateTimeField(_("stored at"), auto_now_add=True)

    class Meta(TenantOwned.Meta):
        verbose_name = _("utterance")
        verbose_name_plural = _("utterances")
        ordering = ["call_id", "sequence"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "call", "sequence"], name="calls_utterance_sequence"
            ),
            models.CheckConstraint(
                condition=Q(role__in=Role.values), name="calls_utterance_role_is_known"
            ),
            models.CheckConstraint(
                condition=Q(ended_ms__gte=F("started_ms")), name="calls_utterance_ends_after_start"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()}: {self.heard_text or self.text}"
