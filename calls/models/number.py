"""A telephone number and who answers it."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from calls.models.call import Channel
from calls.models.fields import E164Field, is_e164
from tenants.models.base import TenantForeignKey, TenantModel


class Number(TenantModel):
    """One line. A number leads to one tenant, so it is unique over all of them.

    Either an agent answers it, or a rule says who does (`calls.routing`).
    """

    e164 = E164Field(
        _("number"),
        unique=True,
        help_text=_("With + and country code: +52 55 1234 5678"),
    )
    label = models.CharField(_("label"), max_length=100, blank=True)
    agent = TenantForeignKey(
        "agents.Agent",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="numbers",
        verbose_name=_("agent"),
    )
    rule = TenantForeignKey(
        "calls.RoutingRule",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="numbers",
        verbose_name=_("routing rule"),
    )
    account = TenantForeignKey(
        "calls.CarrierAccount",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="numbers",
        verbose_name=_("carrier account"),
        help_text=_("Empty: the installation's own account"),
    )
    carrier = models.CharField(
        _("carrier"),
        max_length=16,
        choices=[choice for choice in Channel.choices if choice[0] != Channel.BROWSER],
        default=Channel.TWILIO,
        help_text=_("Who places calls from this number"),
    )
    is_active = models.BooleanField(_("active"), default=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("number")
        verbose_name_plural = _("numbers")
        ordering = ["e164"]
        constraints = [
            models.CheckConstraint(condition=is_e164("e164"), name="calls_number_is_e164"),
            models.CheckConstraint(
                condition=Q(agent__isnull=False, rule__isnull=True)
                | Q(agent__isnull=True, rule__isnull=False),
                name="calls_number_has_one_answer",
                violation_error_message=_("Choose an agent or a routing rule, one of the two."),
            ),
        ]

    def __str__(self) -> str:
        return str(self.e164)

    def clean(self) -> None:
        """A number is at the carrier at which its account is."""
        if self.account is not None and self.account.carrier != self.carrier:
            raise ValidationError(
                {
                    "carrier": _("This carrier account is at %(carrier)s.")
                    % {"carrier": self.account.get_carrier_display()}
                }
            )
