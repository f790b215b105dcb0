"""What an agent keeps for people to act on: messages, and times to call back."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Self
from zoneinfo import ZoneInfo

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from calls.models.campaign import Outcome
from tenants.managers import TenantManager, TenantQuerySet
from tenants.models.base import TenantForeignKey, TenantModel
from tenants.models.tenant import validate_time_zone


class TakenMessage(TenantModel):
    """A caller's message. `number` is where to reach them, as far as that is known."""

    call = TenantForeignKey(
        "calls.Call",
        on_delete=models.PROTECT,
        related_name="taken_messages",
        verbose_name=_("call"),
    )
    sequence = models.PositiveIntegerField(_("sequence"), help_text=_("Of the call's event"))
    text = models.TextField(_("message"))
    from_name = models.CharField(_("left by"), max_length=120, blank=True)
    number = models.CharField(_("number"), max_length=100, blank=True)
    for_whom = models.CharField(_("for"), max_length=120, blank=True)
    handled_at = models.DateTimeField(_("dealt with at"), null=True, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("message taken")
        verbose_name_plural = _("messages taken")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "call", "sequence"], name="calls_message_taken_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["tenant", "-created_at"],
                condition=Q(handled_at=None),
                name="calls_message_open",
            ),
            models.Index(
                fields=["tenant", "number"],
                condition=~Q(from_name=""),
                name="calls_message_by_number",
            ),
        ]

    def __str__(self) -> str:
        return self.text[:80]


class CallBackQuerySet(TenantQuerySet["CallBack"]):
    """Reads like verbs; always of the current tenant."""

    def due(self, now: datetime) -> Self:
        """Those that should be called by now, the longest due first."""
        return self.filter(
            Q(not_before=None) | Q(not_before__lte=now),
            state=CallBack.State.SCHEDULED,
            due_at__lte=now,
        ).order_by("due_at", "pk")


class CallBackManager(TenantManager.from_queryset(CallBackQuerySet)):  # type: ignore[misc]
    """`objects` of call-backs."""


class CallBack(TenantModel):
    """A time at which a caller is to be called again, by the clock of `time_zone`.

    `placed` is the latest call that was placed for it, `outcome` what became of it. One that
    failed is left to people, who settle it.
    """

    class State(models.TextChoices):
        """How far it has come."""

        SCHEDULED = "scheduled", _("Scheduled")
        CALLING = "calling", _("Being called")
        FAILED = "failed", _("Not reached")
        DONE = "done", _("Done")
        CANCELLED = "cancelled", _("Cancelled")

    OPEN = (State.SCHEDULED, State.CALLING, State.FAILED)

    call = TenantForeignKey(
        "calls.Call", on_delete=models.PROTECT, related_name="call_backs", verbose_name=_("call")
    )
    sequence = models.PositiveIntegerField(_("sequence"), help_text=_("Of the call's event"))
    due_at = models.DateTimeField(_("due at"))
    time_zone = models.CharField(_("time zone"), max_length=64, validators=[validate_time_zone])
    number = models.CharField(_("number"), max_length=100, blank=True)
    reason = models.TextField(_("reason"), blank=True)
    state = models.CharField(
        _("state"), max_length=16, choices=State.choices, default=State.SCHEDULED
    )
    settled_at = models.DateTimeField(_("settled at"), null=True, blank=True)
    tries = models.PositiveSmallIntegerField(_("calls so far"), default=0)
    not_before = models.DateTimeField(
        _("not before"), null=True, blank=True, help_text=_("Empty: when it is due")
    )
    outcome = models.CharField(
        _("last outcome"), max_length=16, choices=Outcome.choices, blank=True
    )
    problem = models.CharField(_("why it was not placed"), max_length=300, blank=True)
    placed = TenantForeignKey(
        "calls.Call",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("call placed"),
    )

    objects: ClassVar[CallBackManager] = CallBackManager()

    class Meta(TenantModel.Meta):
        verbose_name = _("call-back")
        verbose_name_plural = _("call-backs")
        ordering = ["-due_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "call", "sequence"], name="calls_call_back_once"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["scheduled", "calling", "failed"], settled_at=None)
                | Q(state__in=["done", "cancelled"], settled_at__isnull=False),
                name="calls_call_back_settled_or_not",
            ),
        ]
        indexes = [
            models.Index(
                fields=["tenant", "due_at"],
                condition=Q(state="scheduled"),
                name="calls_call_back_due",
            ),
            models.Index(
                fields=["tenant", "placed"],
                condition=Q(state="calling"),
                name="calls_call_back_calling",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.local_due_at:%Y-%m-%d %H:%M} {self.number}"

    def is_due(self, now: datetime) -> bool:
        """Whether it should be called by now; the query is `CallBack.objects.due`."""
        latest: Any = max(self.due_at, self.not_before or self.due_at)
        return bool(self.state == self.State.SCHEDULED and latest <= now)

    @property
    def local_due_at(self) -> datetime:
        """When it is due, by the clock that it was agreed on."""
        due: Any = self.due_at
        local: datetime = due.astimezone(ZoneInfo(self.time_zone))
        return local
