"""What a PBX reports of its calls when they are over."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tenants.models.base import TenantForeignKey, TenantModel


class JournalEntry(TenantModel):
    """A call at a tenant's PBX, as its journal has it.

    `call` is the one of ours that it is about; a call between two people has none. The PBX sends
    no id: `identity` is made of what it says, so that a report that comes twice is one row.
    """

    class Kind(models.TextChoices):
        """Who called, and whether they talked."""

        INBOUND = "Inbound", _("Inbound")
        OUTBOUND = "Outbound", _("Outbound")
        MISSED = "Missed", _("Missed")
        NOT_ANSWERED = "Notanswered", _("Not answered")

    identity = models.CharField(max_length=64, editable=False)
    call = TenantForeignKey(
        "calls.Call",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="journal",
        verbose_name=_("call"),
    )
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    number = models.CharField(_("number"), max_length=60, blank=True)
    extension = models.CharField(_("extension"), max_length=200, blank=True)
    email = models.CharField(_("email"), max_length=200, blank=True)
    name = models.CharField(_("name"), max_length=200, blank=True)
    queue = models.CharField(_("queue"), max_length=200, blank=True)
    started_at = models.DateTimeField(_("started at"))
    established_at = models.DateTimeField(_("answered at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("PBX journal entry")
        verbose_name_plural = _("PBX journal")
        ordering = ["-started_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "identity"], name="calls_journal_once")
        ]
        indexes = [
            models.Index(fields=["tenant", "-started_at", "-id"], name="calls_journal_by_time"),
            models.Index(
                fields=["tenant", "number", "-started_at"],
                condition=~Q(number=""),
                name="calls_journal_by_number",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.number} {self.extension}"
