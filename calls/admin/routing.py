"""Numbers, routing rules and opening hours in the back office."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import StackedInline, TabularInline
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from agents.profiles import LANGUAGES
from calls.models import (
    Holiday,
    Number,
    OpeningHours,
    OpeningInterval,
    RoutingChoice,
    RoutingRule,
)
from calls.routing.route import calendar_of
from tenants.admin import TenantModelAdmin

if TYPE_CHECKING:
    HoursModelForm = forms.ModelForm[OpeningHours | Holiday]
else:
    HoursModelForm = forms.ModelForm


class ClosedForm(HoursModelForm):
    """What callers get while closed; the greeting is one field per language."""

    greeting_es = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        label=_("Greeting in Spanish while closed"),
        help_text=_("Empty: what the agent always says first."),
    )
    greeting_en = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        label=_("Greeting in English while closed"),
        help_text=_("Empty: what the agent always says first."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for language in LANGUAGES:
            self.initial[f"greeting_{language}"] = self.instance.greeting.get(language, "")

    def clean(self) -> dict[str, Any]:
        """Put the greetings together, of the languages that have one."""
        cleaned = super().clean() or {}
        texts = {language: cleaned.get(f"greeting_{language}", "") for language in LANGUAGES}
        self.instance.greeting = {language: text for language, text in texts.items() if text}
        return cleaned


class OpeningIntervalInline(TabularInline):  # type: ignore[misc]
    """The week."""

    model = OpeningInterval
    fields = ("weekday", "opens", "closes")
    extra = 0


class HolidayInline(StackedInline):  # type: ignore[misc]
    """The days that are unlike the others."""

    model = Holiday
    form = ClosedForm
    fields = ("day", "name", "opens", "closes", "agent", "greeting_es", "greeting_en")
    extra = 0
    collapsible = True


@admin.register(OpeningHours)
class OpeningHoursAdmin(TenantModelAdmin):
    """A week, its holidays, and who answers while it is closed."""

    form = ClosedForm
    list_display = ("name", "time_zone", "open_now", "agent")
    list_select_related = ("agent",)
    search_fields = ("name",)
    fields = ("name", "time_zone", "agent", "greeting_es", "greeting_en")
    inlines = (OpeningIntervalInline, HolidayInline)

    def get_changeform_initial_data(self, request: Any) -> dict[str, Any]:
        """By the clock of the company, unless somebody says otherwise."""
        return {
            "time_zone": request.tenant.time_zone,
            **super().get_changeform_initial_data(request),
        }

    @display(description=_("now"), label={"open": "success", "closed": "warning"})  # type: ignore[untyped-decorator]
    def open_now(self, hours: OpeningHours) -> tuple[str, str]:
        """Whether they are open at this moment."""
        if calendar_of(hours).is_open(timezone.now()):
            return "open", gettext("open now")
        return "closed", gettext("closed now")


class RoutingChoiceInline(TabularInline):  # type: ignore[misc]
    """Agents for callers from somewhere."""

    model = RoutingChoice
    fields = ("caller_prefix", "agent")
    extra = 0


@admin.register(RoutingRule)
class RoutingRuleAdmin(TenantModelAdmin):
    """Who takes the calls: by hours and by caller."""

    list_display = ("name", "agent", "hours")
    list_select_related = ("agent", "hours")
    search_fields = ("name",)
    fields = ("name", "agent", "hours")
    inlines = (RoutingChoiceInline,)


@admin.register(Number)
class NumberAdmin(TenantModelAdmin):
    """Who answers which number."""

    list_display = ("e164", "label", "agent", "rule", "carrier", "is_active")
    list_filter = ("is_active",)
    list_select_related = ("agent", "rule")
    search_fields = ("e164", "label")
    fields = ("e164", "label", "agent", "rule", "carrier", "account", "is_active")
