"""What an agent version knows: questions and answers."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agents.brain.embedded.slots import SLOTS
from agents.models.agent import LANGUAGE_CHOICES
from agents.models.version import AgentVersion
from tenants.models.base import TenantForeignKey, TenantModel


class KnowledgeEntry(TenantModel):
    """One thing the agent knows, in one language. Fixed once its version is published.

    `search_vector` and `trigrams` (of the question and its phrasings) are filled by a trigger
    (see the migration), so that bulk operations fill them too. The trigrams are ours because
    the embedded PostgreSQL comes without pg_trgm.
    """

    version = TenantForeignKey(
        AgentVersion, on_delete=models.CASCADE, related_name="knowledge", verbose_name=_("version")
    )
    position = models.PositiveIntegerField(_("position"), default=0)
    language = models.CharField(_("language"), max_length=2, choices=LANGUAGE_CHOICES)
    question = models.CharField(_("question"), max_length=300)
    phrasings = models.TextField(
        _("other phrasings"),
        max_length=2000,
        blank=True,
        help_text=_("Other ways to ask it, one a line."),
    )
    answer = models.TextField(_("answer"), max_length=2000)
    tags: ArrayField[Any, Any] = ArrayField(
        models.CharField(max_length=40),
        verbose_name=_("tags"),
        default=list,
        blank=True,
        help_text=_("Words that callers use for it, separated by commas."),
    )
    collect: ArrayField[Any, Any] = ArrayField(
        models.CharField(max_length=20),
        verbose_name=_("ask the caller for"),
        default=list,
        blank=True,
        help_text=_("After the answer, in this order: name, phone, date, people, number."),
    )
    closing = models.CharField(
        _("closing"),
        max_length=500,
        blank=True,
        help_text=_("Said when the caller has given all of it."),
    )
    search_vector = SearchVectorField(null=True, editable=False)
    trigrams: ArrayField[Any, Any] = ArrayField(
        models.CharField(max_length=3), editable=False, default=list
    )

    class Meta(TenantModel.Meta):
        verbose_name = _("knowledge entry")
        verbose_name_plural = _("knowledge entries")
        ordering = ["version", "position", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "version", "language", "question"],
                name="agents_knowledge_question_once",
            ),
        ]
        indexes = [
            GinIndex(fields=["search_vector"], name="agents_knowledge_vector"),
            GinIndex(fields=["trigrams"], name="agents_knowledge_trigrams"),
        ]

    def __str__(self) -> str:
        return self.question

    def clean(self) -> None:
        """Refuse a slot nobody can ask for, and a language that the version does not speak."""
        unknown = [slot for slot in self.collect or [] if slot not in SLOTS]
        if unknown:
            message = gettext("%(slot)s cannot be asked for; known are %(slots)s")
            values = {"slot": repr(unknown[0]), "slots": ", ".join(SLOTS)}
            raise ValidationError({"collect": message % values})
        if self.version_id is not None and self.language not in self.version.languages:
            message = gettext("language is %(language)s; this version speaks %(spoken)s")
            spoken = ", ".join(self.version.languages)
            values = {"language": repr(self.language), "spoken": spoken}
            raise ValidationError({"language": message % values})

    def save(self, *args: Any, **kwargs: Any) -> None:
        self._require_draft()
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        self._require_draft()
        return super().delete(*args, **kwargs)

    def _require_draft(self) -> None:
        if not self.version.is_draft:
            raise self.version.refusal()
