"""A telephone number and the agent who answers it."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from calls.models.call import Channel
from tenants.models.base import TenantForeignKey, TenantModel


class Number(TenantModel):
    """One line. A number leads to one tenant, so it is unique over all of them."""

    e164 = models.CharField(
        _("number"),
        max_length=16,
        unique=True,
        validators=[
            RegexValidator(
                r"^\+[1-9]\d{6,14}$",
                _("Write the number as +, country code and digits: +525512345678."),
            )
        ],
    )
    label = models.CharField(_("label"), max_length=100, blank=True)
    agent = TenantForeignKey(
        "agents.Agent", on_delete=models.PROTECT, related_name="numbers", verbose_name=_("agent")
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
            models.CheckConstraint(
                condition=models.Q(e164__regex=r"^\+[1-9][0-9]{6,14}$"),
                name="calls_number_is_e164",
            )
        ]

    def __str__(self) -> str:
        return self.e164

    def clean(self) -> None:
        """A number is at the carrier at which its account is."""
        if self.account is not None and self.account.carrier != self.carrier:
            raise ValidationError(
                {
                    "carrier": _("This carrier account is at %(carrier)s.")
                    % {"carrier": self.account.get_carrier_display()}
                }
            )
