"""What we want of a carrier: written down before it is asked."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tenants.models.base import TenantForeignKey, TenantModel


class Command(TenantModel):
    """One order to a carrier for one leg.

    It is written in the transaction that decides it and sent once that is committed, so a
    process that dies in between loses nothing. `public_id` goes along as the command's id;
    a carrier that knows such ids does the same one only once.
    """

    class Kind(models.TextChoices):
        """What is to be done; the names of `CarrierApi`'s methods."""

        PLACE = "place", _("Call")
        ANSWER = "answer", _("Answer")
        REATTACH = "reattach", _("Bring the sound back")
        REFUSE = "refuse", _("Refuse")
        SAY = "say_and_hang_up", _("Say and hang up")
        HANG_UP = "hang_up", _("Hang up")
        HAND_OVER = "hand_over", _("Hand over to a person")
        DTMF = "send_dtmf", _("Press keys")
        STEP = "take", _("Go on with a sequence")

    class State(models.TextChoices):
        """How far it has come. `unknown`: sent, and nobody can tell whether it was done."""

        PENDING = "pending", _("Pending")
        SENDING = "sending", _("Being sent")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        UNKNOWN = "unknown", _("Unknown")

    leg = TenantForeignKey(
        "calls.Leg", on_delete=models.PROTECT, related_name="commands", verbose_name=_("leg")
    )
    kind = models.CharField(_("kind"), max_length=24, choices=Kind.choices)
    arguments = models.JSONField(_("arguments"), default=dict)
    reason = models.CharField(
        _("once per leg"),
        max_length=64,
        help_text=_("The same command for the same reason is given to a leg only once"),
    )
    state = models.CharField(_("state"), max_length=16, choices=State.choices, default="pending")
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    first_sent_at = models.DateTimeField(_("first sent at"), null=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, help_text=_("The last time"))
    error = models.CharField(_("error"), max_length=300, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("carrier command")
        verbose_name_plural = _("carrier commands")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "leg", "kind", "reason"], name="calls_command_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["tenant", "created_at"],
                condition=Q(state__in=["pending", "sending"]),
                name="calls_command_waiting",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"
