"""A version of an agent: everything that decides what a caller hears."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agents.errors import VersionIsImmutable
from agents.models.agent import LANGUAGE_CHOICES, Agent
from agents.profiles import (
    LANGUAGES,
    Channel,
    ChannelProfile,
    InvalidProfile,
    parse_profile,
    parse_profiles,
)
from tenants.managers import TenantManager, TenantQuerySet
from tenants.models.base import TenantForeignKey, TenantModel


class VersionState(models.TextChoices):
    """Draft: being written. Published: takes calls. Retired: was published."""

    DRAFT = "draft", _("Draft")
    PUBLISHED = "published", _("Published")
    RETIRED = "retired", _("Retired")


class AgentVersionQuerySet(TenantQuerySet["AgentVersion"]):
    """Reads like verbs; always of the current tenant."""

    def drafts(self) -> Self:
        """Those that can still be changed."""
        return self.filter(state=VersionState.DRAFT)

    def published(self) -> Self:
        """Those that take calls: at most one per agent."""
        return self.filter(state=VersionState.PUBLISHED)

    def of(self, agent: Agent) -> Self:
        """An agent's versions."""
        return self.filter(agent=agent)


class AgentVersionManager(TenantManager.from_queryset(AgentVersionQuerySet)):  # type: ignore[misc]
    """`objects` of versions."""


class AgentVersion(TenantModel):
    """What an agent is. Once published it never changes again; a new draft is made instead.

    `languages`: the first is the one it speaks by default. `greeting`: language -> text, empty
    text: the caller speaks first. `profiles`: channel -> settings, see `agents.profiles`.
    Immutability is kept here, in the services and by a trigger in the database.
    """

    agent = TenantForeignKey(
        Agent, on_delete=models.PROTECT, related_name="versions", verbose_name=_("agent")
    )
    number = models.PositiveIntegerField(_("number"), editable=False)
    state = models.CharField(
        _("state"),
        max_length=10,
        choices=VersionState.choices,
        default=VersionState.DRAFT,
        editable=False,
    )
    prompt = models.TextField(
        _("prompt"),
        max_length=20000,
        blank=True,
        help_text=_("Who the agent is, what it may promise, how it should treat callers."),
    )
    languages: ArrayField[Any, Any] = ArrayField(
        models.CharField(max_length=2, choices=LANGUAGE_CHOICES), verbose_name=_("languages")
    )
    greeting = models.JSONField(_("greeting"), default=dict, blank=True)
    profiles = models.JSONField(_("channel profiles"), default=dict, blank=True)
    notes = models.TextField(
        _("notes"), max_length=2000, blank=True, help_text=_("What changed, for colleagues.")
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        editable=False,
        verbose_name=_("created by"),
    )
    published_at = models.DateTimeField(_("published at"), null=True, editable=False)

    objects: ClassVar[AgentVersionManager] = AgentVersionManager()

    class Meta(TenantModel.Meta):
        verbose_name = _("agent version")
        verbose_name_plural = _("agent versions")
        ordering = ["agent", "-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "agent", "number"], name="agents_version_number"
            ),
            models.UniqueConstraint(
                fields=["tenant", "agent"],
                condition=Q(state="published"),
                name="agents_version_one_published",
            ),
            models.UniqueConstraint(
                fields=["tenant", "agent"],
                condition=Q(state="draft"),
                name="agents_version_one_draft",
            ),
            models.CheckConstraint(
                condition=Q(state__in=VersionState.values), name="agents_version_state_is_known"
            ),
            models.CheckConstraint(
                condition=Q(state="draft", published_at=None)
                | (~Q(state="draft") & Q(published_at__isnull=False)),
                name="agents_version_published_at_when_published",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent.name} {self.number}"

    @property
    def is_draft(self) -> bool:
        """Whether it can still be changed."""
        return self.state == VersionState.DRAFT

    @property
    def language(self) -> str:
        """What it speaks unless a call asks for another."""
        return str(self.languages[0])

    def profile(self, channel: Channel) -> ChannelProfile:
        """The settings of one channel. Raises InvalidProfile if what is stored is not valid."""
        return parse_profile(self.profiles.get(channel, {}), channel)

    def greeting_in(self, language: str) -> str | None:
        """What it says first, or None when the caller is to speak first."""
        return self.greeting.get(language) or None

    def clean(self) -> None:
        """Refuse values that are not allowed, and store profiles in full."""
        faults: dict[str, list[str]] = {}
        _check_languages(self.languages, faults)
        _check_greeting(self.greeting, self.languages or [], faults)
        try:
            parsed = parse_profiles(self.profiles)
        except InvalidProfile as error:
            faults["profiles"] = [problem.message for problem in error.problems]
        else:
            self.profiles = {
                channel: profile.model_dump(mode="json") for channel, profile in parsed.items()
            }
        if faults:
            raise ValidationError(faults)

    @classmethod
    def from_db(cls, db: Any, field_names: Any, values: Any, **kwargs: Any) -> Self:
        """Remember the state in the database: it decides what may be saved."""
        version = super().from_db(db, field_names, values, **kwargs)
        version._stored_state = version.__dict__.get("state")
        return version

    _stored_state: str | None = None

    def save(self, *args: Any, **kwargs: Any) -> None:
        fields = kwargs.get("update_fields")
        only_state = fields is not None and set(fields) <= {"state", "updated_at"}
        if self._stored_state not in {None, VersionState.DRAFT} and not only_state:
            raise self.refusal()
        super().save(*args, **kwargs)
        self._stored_state = self.state

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        if self._stored_state not in {None, VersionState.DRAFT}:
            raise self.refusal()
        return super().delete(*args, **kwargs)

    def refusal(self) -> VersionIsImmutable:
        """The error for somebody who wants to change what is not a draft any more."""
        return VersionIsImmutable(self.number, self._stored_state or self.state)

    def mark_published(self, at: datetime) -> None:
        """Take calls from now on. Fields only; saving is the service's work."""
        self.state = VersionState.PUBLISHED
        self.published_at = self.published_at or at


def _check_languages(languages: Any, faults: dict[str, list[str]]) -> None:
    if not languages:
        faults["languages"] = [gettext("at least one language is needed")]
        return
    unknown = [code for code in languages if code not in LANGUAGES]
    if unknown:
        values = {"name": repr(unknown[0]), "allowed": ", ".join(LANGUAGES)}
        faults["languages"] = [gettext("%(name)s is unknown; allowed is %(allowed)s") % values]
    elif len(set(languages)) < len(languages):
        faults["languages"] = [gettext("a language is named twice")]


def _check_greeting(greeting: Any, languages: list[str], faults: dict[str, list[str]]) -> None:
    if not isinstance(greeting, dict):
        faults["greeting"] = [gettext("a greeting is a text per language")]
        return
    for language, text in greeting.items():
        if language not in languages:
            foreign = gettext("%(name)s is none of this version's languages")
            faults["greeting"] = [foreign % {"name": repr(language)}]
        elif not isinstance(text, str) or len(text) > 1000:
            long = gettext("the greeting in %(name)s must be a text of up to 1000 characters")
            faults["greeting"] = [long % {"name": repr(language)}]
