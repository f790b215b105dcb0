"""When a company is there for its callers."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tenants.models.base import TenantForeignKey, TenantModel
from tenants.models.tenant import validate_time_zone


class OpeningHours(TenantModel):
    """A week by the clock of one time zone, and what callers get while it is closed.

    `greeting`: language -> what is said first then; empty: what the agent always says.
    """

    name = models.CharField(_("name"), max_length=100)
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        validators=[validate_time_zone],
        help_text=_("By whose clock: America/Mexico_City, Europe/Madrid"),
    )
    agent = TenantForeignKey(
        "agents.Agent",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("agent while closed"),
        help_text=_("Empty: whoever answers otherwise"),
    )
    greeting = models.JSONField(_("greeting while closed"), default=dict, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("opening hours")
        verbose_name_plural = _("opening hours")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "name"],
                name="calls_hours_name",
                violation_error_message=_("There are opening hours of that name already."),
            )
        ]

    def __str__(self) -> str:
        return self.name


class OpeningInterval(TenantModel):
    """Open from `opens` until just before `closes`, every week.

    One that closes no later than it opens ends on the next day.
    """

    class Weekday(models.IntegerChoices):
        """As Python counts them."""

        MONDAY = 0, _("Monday")
        TUESDAY = 1, _("Tuesday")
        WEDNESDAY = 2, _("Wednesday")
        THURSDAY = 3, _("Thursday")
        FRIDAY = 4, _("Friday")
        SATURDAY = 5, _("Saturday")
        SUNDAY = 6, _("Sunday")

    hours = TenantForeignKey(
        OpeningHours,
        on_delete=models.CASCADE,
        related_name="intervals",
        verbose_name=_("opening hours"),
    )
    weekday = models.PositiveSmallIntegerField(_("day"), choices=Weekday.choices)
    opens = models.TimeField(_("opens"))
    closes = models.TimeField(
        _("closes"), help_text=_("Not later than it opens: on the next day. 00:00 is midnight.")
    )

    class Meta(TenantModel.Meta):
        verbose_name = _("open")
        verbose_name_plural = _("open")
        ordering = ["weekday", "opens", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "hours", "weekday", "opens"],
                name="calls_interval_opens_once",
                violation_error_message=_("The same day opens twice at the same time."),
            ),
            models.CheckConstraint(
                condition=Q(weekday__gte=0, weekday__lte=6), name="calls_interval_weekday"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_weekday_display()} {self.opens:%H:%M}-{self.closes:%H:%M}"


class Holiday(TenantModel):
    """A day that is unlike the others, from midnight to midnight."""

    hours = TenantForeignKey(
        OpeningHours,
        on_delete=models.CASCADE,
        related_name="holidays",
        verbose_name=_("opening hours"),
    )
    day = models.DateField(_("date"))
    name = models.CharField(_("name"), max_length=100, blank=True)
    opens = models.TimeField(
        _("opens"), null=True, blank=True, help_text=_("Empty: closed all day")
    )
    closes = models.TimeField(_("closes"), null=True, blank=True)
    agent = TenantForeignKey(
        "agents.Agent",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("agent while closed"),
        help_text=_("Empty: whoever answers outside the opening hours"),
    )
    greeting = models.JSONField(_("greeting while closed"), default=dict, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("holiday")
        verbose_name_plural = _("holidays")
        ordering = ["day"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "hours", "day"],
                name="calls_holiday_once",
                violation_error_message=_("This date is in the list already."),
            ),
            models.CheckConstraint(
                condition=Q(opens__isnull=True, closes__isnull=True)
                | Q(opens__isnull=False, closes__isnull=False),
                name="calls_holiday_hours_are_whole",
                violation_error_message=_("Say both when it opens and when it closes, or neither."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d} {self.name}".rstrip()
