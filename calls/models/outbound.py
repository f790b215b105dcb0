"""Calls that we place: to whom not, when, how many, and what was asked for."""

from __future__ import annotations

from datetime import time

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from calls.models.fields import E164Field, is_e164
from tenants.models.base import TenantForeignKey, TenantModel, TenantOwned

MOST_AT_ONCE = 500


class DoNotCall(TenantModel):
    """A number that is never called, nor written to."""

    class Source(models.TextChoices):
        """How it came into the list."""

        ENTERED = "entered", _("Entered")
        IMPORTED = "imported", _("Imported")
        ASKED = "asked", _("Asked for in a call")
        WRITTEN = "written", _("Asked for in a message")

    number = E164Field(_("number"), help_text=_("With + and country code: +52 55 1234 5678"))
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    source = models.CharField(
        _("source"),
        max_length=16,
        choices=Source.choices,
        default=Source.ENTERED,
        editable=False,
    )
    added_by = models.CharField(_("added by"), max_length=200, blank=True, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = _("number not to call")
        verbose_name_plural = _("do-not-call list")
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "number"],
                name="calls_do_not_call_once",
                violation_error_message=_("This number is in the list already."),
            ),
            models.CheckConstraint(condition=is_e164("number"), name="calls_do_not_call_is_e164"),
        ]
        indexes = [
            models.Index(fields=["tenant", "-created_at", "-id"], name="calls_do_not_call_by_time")
        ]

    def __str__(self) -> str:
        return str(self.number)


class OutboundSettings(TenantModel):
    """A tenant's rules for the calls that it places; one row.

    Nobody is called before `window_opens` or from `window_closes` on, by the clock where the
    called one is.
    """

    window_opens = models.TimeField(
        _("call from"), default=time(9), help_text=_("By the clock of the person called")
    )
    window_closes = models.TimeField(_("until"), default=time(20))
    max_at_once = models.PositiveSmallIntegerField(
        _("calls at once"),
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_AT_ONCE)],
        help_text=_("Placed calls that ring or are talked on at the same time"),
    )
    dials_call_backs = models.BooleanField(
        _("agents call back"),
        default=True,
        help_text=_("Who promised to call back does so when it is due. Off: it is left to people"),
    )

    class Meta(TenantModel.Meta):
        verbose_name = _("outbound settings")
        verbose_name_plural = _("outbound settings")
        constraints = [
            models.UniqueConstraint(fields=["tenant"], name="calls_outbound_settings_once"),
            models.CheckConstraint(
                condition=Q(window_opens__lt=F("window_closes")),
                name="calls_outbound_window_has_length",
                violation_error_message=_("The window has to close after it opens, the same day."),
            ),
            models.CheckConstraint(
                condition=Q(max_at_once__gte=1, max_at_once__lte=MOST_AT_ONCE),
                name="calls_outbound_at_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.window_opens:%H:%M}-{self.window_closes:%H:%M}, {self.max_at_once}"


class OutboundRequest(TenantOwned):
    """An asked-for call by the key that the asker gave it: asked twice, it is placed once.

    `digest` is of what was asked for, so that the same key for something else is noticed.
    """

    key = models.CharField(_("idempotency key"), max_length=200)
    digest = models.CharField(_("digest"), max_length=64)
    call = TenantForeignKey(
        "calls.Call", on_delete=models.PROTECT, related_name="+", verbose_name=_("call")
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta(TenantOwned.Meta):
        verbose_name = _("outbound request")
        verbose_name_plural = _("outbound requests")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "key"], name="calls_outbound_key_once")
        ]

    def __str__(self) -> str:
        return self.key


class PlacingPace(models.Model):
    """When an account's next call may be dialled. Global: tenants share the installation's own."""

    carrier = models.CharField(_("carrier"), max_length=16)
    account = models.CharField(
        _("carrier account"),
        max_length=36,
        blank=True,
        help_text=_("Empty: the installation's own account"),
    )
    paced_until = models.DateTimeField(_("next call at"))

    class Meta:
        verbose_name = _("pace of placed calls")
        verbose_name_plural = _("paces of placed calls")
        constraints = [
            models.UniqueConstraint(fields=["carrier", "account"], name="calls_pace_of_an_account")
        ]

    def __str__(self) -> str:
        return f"{self.carrier} {self.account}".rstrip()
