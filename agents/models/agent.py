"""An AI agent: a name under which versions are published."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from agents.profiles import LANGUAGES
from tenants.models.base import TenantModel

LANGUAGE_NAMES = {"es": _("Spanish"), "en": _("English")}
LANGUAGE_CHOICES = [(code, LANGUAGE_NAMES[code]) for code in LANGUAGES]


class Agent(TenantModel):
    """Who answers a number. What it says and how is in its published `AgentVersion`."""

    name = models.CharField(_("name"), max_length=80)
    slug = models.SlugField(
        _("slug"), max_length=60, help_text=_("Its name in addresses and in hand-offs.")
    )
    language = models.CharField(
        _("language"),
        max_length=2,
        choices=LANGUAGE_CHOICES,
        default="es",
        help_text=_("What it speaks unless a call asks for another of its version's languages."),
    )
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Inactive agents take no calls.")
    )

    class Meta(TenantModel.Meta):
        verbose_name = _("agent")
        verbose_name_plural = _("agents")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "slug"], name="agents_agent_slug"),
            models.CheckConstraint(
                condition=models.Q(language__in=LANGUAGES), name="agents_agent_language_is_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name
