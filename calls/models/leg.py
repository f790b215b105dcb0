"""One telephone connection of a call."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from calls.models.call import Channel, Direction
from calls.providers.carriers.legs import LegState
from calls.providers.carriers.signals import Answerer, EndCause
from tenants.models.base import TenantForeignKey, TenantModel


class Leg(TenantModel):
    """The customer's connection, or that of a person the call was handed to.

    What is stored here is a picture of the leg's signals (`calls.providers.carriers.legs`) and
    can be made anew from them at any time.
    """

    class Role(models.TextChoices):
        """Who is at the other end."""

        CUSTOMER = "customer", _("Customer")
        PERSON = "person", _("Person")

    class State(models.TextChoices):
        """How far it has come."""

        DIALLING = LegState.DIALLING.value, _("Dialling")
        RINGING = LegState.RINGING.value, _("Ringing")
        ANSWERED = LegState.ANSWERED.value, _("Answered")
        ENDED = LegState.ENDED.value, _("Ended")

    class Cause(models.TextChoices):
        """Why it ended."""

        COMPLETED = EndCause.COMPLETED.value, _("Completed")
        BUSY = EndCause.BUSY.value, _("Busy")
        NO_ANSWER = EndCause.NO_ANSWER.value, _("No answer")
        REJECTED = EndCause.REJECTED.value, _("Rejected")
        CANCELLED = EndCause.CANCELLED.value, _("Cancelled")
        FAILED = EndCause.FAILED.value, _("Failed")
        UNKNOWN_NUMBER = EndCause.UNKNOWN_NUMBER.value, _("Unknown number")

    class PickedUp(models.TextChoices):
        """Who or what answered, as far as the carrier can tell."""

        HUMAN = Answerer.HUMAN.value, _("A person")
        MACHINE = Answerer.MACHINE.value, _("A machine")
        FAX = Answerer.FAX.value, _("A fax")
        UNKNOWN = Answerer.UNKNOWN.value, _("Unknown")

    call = TenantForeignKey(
        "calls.Call", on_delete=models.PROTECT, related_name="legs", verbose_name=_("call")
    )
    account = TenantForeignKey(
        "calls.CarrierAccount",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="legs",
        verbose_name=_("carrier account"),
        help_text=_("Empty: the installation's own account"),
    )
    carrier = models.CharField(_("carrier"), max_length=16, choices=Channel.choices)
    carrier_id = models.CharField(_("carrier's id"), max_length=200, blank=True)
    session = models.CharField(_("carrier's session"), max_length=200, blank=True)
    role = models.CharField(_("role"), max_length=16, choices=Role.choices, default=Role.CUSTOMER)
    direction = models.CharField(_("direction"), max_length=16, choices=Direction.choices)
    from_number = models.CharField(_("from"), max_length=100, blank=True)
    to_number = models.CharField(_("to"), max_length=100, blank=True)

    state = models.CharField(
        _("state"), max_length=16, choices=State.choices, default=State.DIALLING
    )
    answered_at = models.DateTimeField(_("answered at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    cause = models.CharField(_("cause"), max_length=16, choices=Cause.choices, blank=True)
    detail = models.CharField(_("the carrier's words"), max_length=200, blank=True)
    picked_up = models.CharField(
        _("picked up by"), max_length=16, choices=PickedUp.choices, blank=True
    )
    may_speak = models.BooleanField(
        _("it has beeped"), default=False, help_text=_("A message may be left on the machine")
    )
    greeted = models.BooleanField(
        _("it has greeted"), default=False, help_text=_("The machine's greeting is over")
    )

    class Meta(TenantModel.Meta):
        verbose_name = _("leg")
        verbose_name_plural = _("legs")
        ordering = ["call_id", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "carrier", "carrier_id"],
                condition=~Q(carrier_id=""),
                name="calls_leg_one_per_carrier_id",
            ),
            models.CheckConstraint(
                condition=Q(state=LegState.ENDED.value, ended_at__isnull=False) & ~Q(cause="")
                | ~Q(state=LegState.ENDED.value) & Q(ended_at__isnull=True, cause=""),
                name="calls_leg_end_has_a_cause",
            ),
        ]
        indexes = [
            models.Index(
                fields=["tenant", "session"],
                condition=~Q(session=""),
                name="calls_leg_by_session",
            ),
            models.Index(
                fields=["tenant"],
                condition=~Q(state=LegState.ENDED.value),
                name="calls_leg_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_carrier_display()} {self.from_number} → {self.to_number}"
