"""One call, from its first ring to its last figure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from agents.models import AgentVersion
from calls.end_reasons import CHOICES, END_REASONS
from calls.models.routing import RoutingReason
from tenants.managers import TenantManager, TenantQuerySet
from tenants.models.base import TenantForeignKey, TenantModel


class Channel(models.TextChoices):
    """The way a call came, and the name of the profile that it uses."""

    BROWSER = "browser", _("Browser")
    TWILIO = "twilio", "Twilio"
    TELNYX = "telnyx", "Telnyx"
    THREECX = "threecx", "3CX"


class Direction(models.TextChoices):
    """Who called whom."""

    INBOUND = "inbound", _("Inbound")
    OUTBOUND = "outbound", _("Outbound")


class State(models.TextChoices):
    """Where a call is: announced, talking, over."""

    RINGING = "ringing", _("Ringing")
    LIVE = "live", _("Live")
    ENDED = "ended", _("Ended")


class CallQuerySet(TenantQuerySet["Call"]):
    """Reads like verbs; always of the current tenant."""

    def live(self) -> Self:
        """Calls that somebody is on."""
        return self.filter(state=State.LIVE)

    def unheard_of_since(self, moment: datetime) -> Self:
        """Live calls whose server has not been heard of since."""
        return self.live().filter(heartbeat_at__lt=moment)

    def on_servers_gone(self, present: Collection[str], moment: datetime) -> Self:
        """Live calls of servers that are not among those present, nor were heard of since."""
        elsewhere = self.exclude(server="").exclude(server__in=present)
        return elsewhere.unheard_of_since(moment)

    def never_connected(self, moment: datetime) -> Self:
        """Calls that were announced before that and whose sound never came."""
        return self.filter(state=State.RINGING, started_at__lt=moment)


class CallManager(TenantManager.from_queryset(CallQuerySet)):  # type: ignore[misc]
    """`objects` of calls."""


class Call(TenantModel):
    """A call and its outcome. Times in milliseconds count from the answer."""

    agent = TenantForeignKey(
        "agents.Agent", on_delete=models.PROTECT, related_name="calls", verbose_name=_("agent")
    )
    version = TenantForeignKey(
        "agents.AgentVersion",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="calls",
        verbose_name=_("agent version"),
        help_text=_("Empty: refused, there was none that could take it"),
    )
    number = TenantForeignKey(
        "calls.Number",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="calls",
        verbose_name=_("number"),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("user"),
        help_text=_("Who made a test call from the portal"),
    )
    channel = models.CharField(
        _("channel"),
        max_length=16,
        choices=Channel.choices,
        blank=True,
        help_text=_("Empty: refused, there was no number to place it from"),
    )
    direction = models.CharField(
        _("direction"), max_length=16, choices=Direction.choices, default=Direction.INBOUND
    )
    carrier_id = models.CharField(_("carrier's id"), max_length=200, blank=True)
    from_number = models.CharField(_("from"), max_length=100, blank=True)
    to_number = models.CharField(_("to"), max_length=100, blank=True)
    language = models.CharField(_("language"), max_length=16)
    routing = models.CharField(
        _("routed by"), max_length=16, choices=RoutingReason.choices, blank=True
    )
    greeting = models.TextField(
        _("greeting"), blank=True, help_text=_("What is said first instead of the agent's own")
    )
    context = models.JSONField(
        _("context"),
        default=dict,
        blank=True,
        help_text=_("What the agent is told about a call that we place: names and texts"),
    )

    state = models.CharField(
        _("state"), max_length=16, choices=State.choices, default=State.RINGING
    )
    started_at = models.DateTimeField(_("started at"))
    answered_at = models.DateTimeField(_("answered at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    heartbeat_at = models.DateTimeField(_("last heard of at"), null=True, blank=True)
    server = models.CharField(
        _("server process"), max_length=120, blank=True, help_text=_("Which has, or had, its sound")
    )
    end_reason = models.CharField(_("end reason"), max_length=40, choices=CHOICES, blank=True)
    streams = models.PositiveSmallIntegerField(
        _("media streams"), default=0, help_text=_("So many have brought its sound so far")
    )
    media_lost_at = models.DateTimeField(
        _("sound lost at"), null=True, blank=True, help_text=_("Set while a new stream is awaited")
    )
    transfer_to = models.CharField(
        _("transfer to"),
        max_length=16,
        blank=True,
        help_text=_("The number that the carrier dials once the agent has let go"),
    )
    recording_consent = models.BooleanField(
        _("agreed to be recorded"), null=True, blank=True, help_text=_("Empty: not asked")
    )
    providers = models.JSONField(_("providers"), default=dict, blank=True)

    finalised_at = models.DateTimeField(_("figures made at"), null=True, blank=True)
    duration_ms = models.PositiveIntegerField(_("duration (ms)"), null=True, blank=True)
    caller_talk_ms = models.PositiveIntegerField(_("caller talks (ms)"), null=True, blank=True)
    agent_talk_ms = models.PositiveIntegerField(_("agent talks (ms)"), null=True, blank=True)
    talk_ms = models.PositiveIntegerField(
        _("anybody talks (ms)"), null=True, blank=True, help_text=_("Overlap is counted once")
    )
    silence_ms = models.PositiveIntegerField(_("silence (ms)"), null=True, blank=True)
    longest_silence_ms = models.PositiveIntegerField(
        _("longest silence (ms)"), null=True, blank=True
    )
    interruptions = models.PositiveIntegerField(_("interruptions"), null=True, blank=True)
    response_ms = models.PositiveIntegerField(
        _("answer time (ms)"), null=True, blank=True, help_text=_("Median over the call's turns")
    )
    summary = models.TextField(_("summary"), blank=True)
    outline = models.JSONField(
        _("outline"), default=dict, blank=True, help_text=_("Topics, answers and data collected")
    )

    objects: ClassVar[CallManager] = CallManager()

    class Meta(TenantModel.Meta):
        verbose_name = _("call")
        verbose_name_plural = _("calls")
        ordering = ["-started_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "channel", "carrier_id"],
                condition=~Q(carrier_id=""),
                name="calls_call_one_per_carrier_id",
            ),
            models.CheckConstraint(
                condition=Q(state__in=State.values)
                & (Q(channel__in=Channel.values) | Q(channel="", state=State.ENDED))
                & Q(direction__in=Direction.values),
                name="calls_call_choices_are_known",
            ),
            models.CheckConstraint(
                condition=Q(state=State.ENDED, ended_at__isnull=False) & ~Q(end_reason="")
                | ~Q(state=State.ENDED) & Q(ended_at__isnull=True, end_reason=""),
                name="calls_call_end_has_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(end_reason__in=["", *END_REASONS]),
                name="calls_call_end_reason_is_known",
            ),
            models.CheckConstraint(
                condition=~Q(state=State.LIVE)
                | Q(answered_at__isnull=False, heartbeat_at__isnull=False),
                name="calls_call_live_has_a_heartbeat",
            ),
            models.CheckConstraint(
                condition=Q(state=State.ENDED) | Q(version__isnull=False),
                name="calls_call_underway_has_a_version",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "-started_at", "-id"], name="calls_call_by_time"),
            models.Index(
                fields=["tenant", "state"],
                condition=~Q(state=State.ENDED),
                name="calls_call_unfinished",
            ),
            models.Index(
                fields=["tenant", "ended_at"],
                condition=Q(state=State.ENDED, finalised_at=None),
                name="calls_call_without_figures",
            ),
            models.Index(
                fields=["tenant", "from_number", "-started_at"], name="calls_call_by_caller"
            ),
            models.Index(
                fields=["tenant", "to_number", "-started_at"],
                condition=Q(direction=Direction.OUTBOUND),
                name="calls_call_by_called",
            ),
        ]

    @property
    def other_party(self) -> str:
        """The number of whom the agent talks with: the caller's, or of who was called."""
        theirs = self.to_number if self.direction == Direction.OUTBOUND else self.from_number
        return str(theirs)

    @property
    def own_number(self) -> str:
        """Our number, that was called or shown."""
        ours = self.from_number if self.direction == Direction.OUTBOUND else self.to_number
        return str(ours)

    def taken_by(self) -> AgentVersion:
        """The version that has the call. Not for calls that were refused."""
        version: AgentVersion | None = self.version
        if version is None:
            raise ValueError(f"call {self.public_id} was refused, nobody has it")
        return version

    def __str__(self) -> str:
        return f"{self.get_channel_display()} {self.started_at:%Y-%m-%d %H:%M:%S}"
