"""Rules by which a number's callers come to an agent."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.models.base import TenantForeignKey, TenantModel


class RoutingReason(models.TextChoices):
    """What decided who takes a call."""

    ALWAYS = "always", _("no opening hours apply")
    OPEN = "open", _("within the opening hours")
    CLOSED = "closed", _("outside the opening hours")
    HOLIDAY = "holiday", _("a holiday")


class RoutingRule(TenantModel):
    """Who takes the calls to a number: by opening hours, and by where a caller calls from."""

    name = models.CharField(_("name"), max_length=100)
    agent = TenantForeignKey(
        "agents.Agent", on_delete=models.PROTECT, related_name="+", verbose_name=_("agent")
    )
    hours = TenantForeignKey(
        "calls.OpeningHours",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="rules",
        verbose_name=_("opening hours"),
        help_text=_("Empty: always open"),
    )

    class Meta(TenantModel.Meta):
        verbose_name = _("routing rule")
        verbose_name_plural = _("routing rules")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "name"],
                name="calls_rule_name",
                violation_error_message=_("There is a rule of that name already."),
            )
        ]

    def __str__(self) -> str:
        return self.name


class RoutingChoice(TenantModel):
    """Callers whose number begins like this get an agent of their own."""

    rule = TenantForeignKey(
        RoutingRule, on_delete=models.CASCADE, related_name="choices", verbose_name=_("rule")
    )
    caller_prefix = models.CharField(
        _("caller's number begins with"),
        max_length=16,
        validators=[
            RegexValidator(
                r"^\+[1-9][0-9]{0,14}$",
                _("Write +, country code and further digits: +52 or +1415."),
            )
        ],
    )
    agent = TenantForeignKey(
        "agents.Agent", on_delete=models.PROTECT, related_name="+", verbose_name=_("agent")
    )

    class Meta(TenantModel.Meta):
        verbose_name = _("agent by caller")
        verbose_name_plural = _("agents by caller")
        ordering = ["caller_prefix"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "rule", "caller_prefix"],
                name="calls_choice_prefix_once",
                violation_error_message=_("The same beginning is listed twice."),
            ),
            models.CheckConstraint(
                condition=models.Q(caller_prefix__regex=r"^\+[1-9][0-9]{0,14}$"),
                name="calls_choice_prefix_is_a_number",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.caller_prefix} → {self.agent}"
