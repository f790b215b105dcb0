"""Campaigns: many people called by one agent, a few at a time."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from calls.models.fields import E164Field, is_e164
from calls.models.outbound import MOST_AT_ONCE
from tenants.models.base import TenantForeignKey, TenantModel

MOST_PER_MINUTE = 600
MOST_TRIES = 10


class Outcome(models.TextChoices):
    """What became of calling somebody."""

    TALKED = "talked", _("Talked")
    VOICEMAIL = "voicemail", _("Voicemail")
    BUSY = "busy", _("Busy")
    NO_ANSWER = "no_answer", _("No answer")
    REJECTED = "rejected", _("Rejected")
    FAILED = "failed", _("Failed")
    BROKEN_OFF = "broken_off", _("Broken off")
    UNKNOWN_NUMBER = "unknown_number", _("Unknown number")
    STOPPED = "stopped", _("Stopped while it rang")
    DO_NOT_CALL = "do_not_call", _("On the do-not-call list")
    OUTSIDE_HOURS = "outside_hours", _("Never within the calling hours")
    INVALID_NUMBER = "invalid_number", _("Cannot be called")


# Outcomes that are nobody's choice but ours or the carrier's: too many, and a campaign stops.
FAILURES = (Outcome.FAILED, Outcome.BROKEN_OFF)


class Campaign(TenantModel):
    """Whom one agent calls, how fast, and how it is going.

    `paced_until` is when the next call may be placed. The breaker looks at the last
    `breaker_sample` finished calls since `watched_since`: when `breaker_share` percent of them
    failed, the campaign stops by itself.
    """

    class State(models.TextChoices):
        """Only a running one places calls."""

        DRAFT = "draft", _("Draft")
        RUNNING = "running", _("Running")
        STOPPED = "stopped", _("Stopped")
        BROKEN = "broken", _("Stopped by itself")
        FINISHED = "finished", _("Finished")

    name = models.CharField(_("name"), max_length=100)
    agent = TenantForeignKey(
        "agents.Agent", on_delete=models.PROTECT, related_name="+", verbose_name=_("agent")
    )
    number = TenantForeignKey(
        "calls.Number",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("number shown"),
        help_text=_("Empty: the agent's own"),
    )
    state = models.CharField(
        _("state"), max_length=16, choices=State.choices, default=State.DRAFT, editable=False
    )
    stop_reason = models.CharField(_("why it stopped"), max_length=300, blank=True, editable=False)
    calls_per_minute = models.PositiveSmallIntegerField(
        _("calls per minute"),
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_PER_MINUTE)],
    )
    max_at_once = models.PositiveSmallIntegerField(
        _("calls at once"),
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_AT_ONCE)],
    )
    breaker_sample = models.PositiveSmallIntegerField(
        _("of the last calls"),
        default=20,
        validators=[MinValueValidator(5), MaxValueValidator(500)],
    )
    breaker_share = models.PositiveSmallIntegerField(
        _("stop when so many failed (%)"),
        default=50,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
    )
    paced_until = models.DateTimeField(null=True, editable=False)
    watched_since = models.DateTimeField(null=True, editable=False)
    started_at = models.DateTimeField(_("started at"), null=True, editable=False)
    ended_at = models.DateTimeField(_("ended at"), null=True, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = _("campaign")
        verbose_name_plural = _("campaigns")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(calls_per_minute__gte=1, calls_per_minute__lte=MOST_PER_MINUTE)
                & Q(max_at_once__gte=1, max_at_once__lte=MOST_AT_ONCE)
                & Q(breaker_sample__gte=5, breaker_share__gte=1, breaker_share__lte=100),
                name="calls_campaign_limits",
            )
        ]

    def __str__(self) -> str:
        return self.name


class RetryRule(TenantModel):
    """After this outcome somebody is called again, so often and so much later."""

    RETRIED = (
        Outcome.VOICEMAIL,
        Outcome.BUSY,
        Outcome.NO_ANSWER,
        Outcome.REJECTED,
        Outcome.FAILED,
        Outcome.BROKEN_OFF,
    )

    campaign = TenantForeignKey(
        Campaign, on_delete=models.CASCADE, related_name="retries", verbose_name=_("campaign")
    )
    outcome = models.CharField(
        _("after"), max_length=16, choices=[(each.value, each.label) for each in RETRIED]
    )
    tries = models.PositiveSmallIntegerField(
        _("calls in all"),
        validators=[MinValueValidator(2), MaxValueValidator(MOST_TRIES)],
        help_text=_("Counting the first one, whatever became of those before"),
    )
    after_minutes = models.PositiveIntegerField(
        _("minutes later"), validators=[MinValueValidator(1), MaxValueValidator(7 * 24 * 60)]
    )

    class Meta(TenantModel.Meta):
        verbose_name = _("retry")
        verbose_name_plural = _("retries")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "campaign", "outcome"],
                name="calls_retry_rule_once",
                violation_error_message=_("There is a rule for this outcome already."),
            ),
            models.CheckConstraint(
                condition=Q(tries__gte=1, tries__lte=MOST_TRIES, after_minutes__gte=1),
                name="calls_retry_rule_limits",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_outcome_display()}: {self.tries}"


class CampaignContact(TenantModel):
    """Somebody in the audience, as the list had them when it was taken in."""

    class State(models.TextChoices):
        """Waiting to be called (again), being called, or finished in one of three ways."""

        WAITING = "waiting", _("Waiting")
        CALLING = "calling", _("Being called")
        DONE = "done", _("Done")
        GIVEN_UP = "given_up", _("Given up")
        SKIPPED = "skipped", _("Skipped")

    campaign = TenantForeignKey(
        Campaign, on_delete=models.CASCADE, related_name="contacts", verbose_name=_("campaign")
    )
    number = E164Field(_("number"))
    line = models.PositiveIntegerField(_("line"))
    attributes = models.JSONField(_("other columns"), default=dict, blank=True)
    state = models.CharField(
        _("state"), max_length=16, choices=State.choices, default=State.WAITING
    )
    outcome = models.CharField(
        _("last outcome"), max_length=16, choices=Outcome.choices, blank=True
    )
    tries = models.PositiveSmallIntegerField(_("calls so far"), default=0)
    next_at = models.DateTimeField(_("not before"))

    class Meta(TenantModel.Meta):
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        ordering = ["line", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "campaign", "number"], name="calls_contact_once"
            ),
            models.CheckConstraint(condition=is_e164("number"), name="calls_contact_is_e164"),
        ]
        indexes = [
            models.Index(
                fields=["tenant", "campaign", "state", "next_at"], name="calls_contact_due"
            )
        ]

    def __str__(self) -> str:
        return str(self.number)


class CampaignAttempt(TenantModel):
    """One call to a contact. The same try of the same contact cannot be there twice."""

    contact = TenantForeignKey(
        CampaignContact,
        on_delete=models.CASCADE,
        related_name="attempts",
        verbose_name=_("contact"),
    )
    ordinal = models.PositiveSmallIntegerField(_("try"))
    call = TenantForeignKey(
        "calls.Call", on_delete=models.PROTECT, related_name="+", verbose_name=_("call")
    )
    outcome = models.CharField(_("outcome"), max_length=16, choices=Outcome.choices, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("try")
        verbose_name_plural = _("tries")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "contact", "ordinal"], name="calls_attempt_once"
            ),
            models.UniqueConstraint(fields=["tenant", "call"], name="calls_attempt_per_call"),
        ]
        indexes = [
            models.Index(
                fields=["tenant", "contact"],
                condition=Q(outcome=""),
                name="calls_attempt_open",
            )
        ]

    def __str__(self) -> str:
        return f"{self.contact} {self.ordinal}"
