"""A telephone number and the agent who answers it."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

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
