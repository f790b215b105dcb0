"""Campaigns in the back office: make one, fill it, start and stop it, watch it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import TabularInline
from unfold.decorators import action, display

from calls.admin.files import CsvFileForm
from calls.admin.read_only import ReadOnly
from calls.errors import CallNotPlaced, CampaignError, FileFaults
from calls.models import Campaign, CampaignContact, Outcome, RetryRule
from calls.number_files import number_rows
from calls.selectors.campaigns import funnel
from calls.services.campaigns import (
    STARTABLE,
    USUAL_RETRIES,
    campaign_fill,
    campaign_set_retries,
    campaign_start,
    campaign_stop,
)
from tenants import audit
from tenants.admin import TenantModelAdmin

REFRESH_SECONDS = 5
MOST_LISTED = 100


class RetryInline(TabularInline):  # type: ignore[misc]
    """Who is called again."""

    model = RetryRule
    fields = ("outcome", "tries", "after_minutes")
    extra = 0


@admin.register(Campaign)
class CampaignAdmin(TenantModelAdmin):
    """A campaign's settings, and the buttons that run it."""

    list_display = ("name", "state_label", "agent", "started_at", "ended_at", "stop_reason")
    list_filter = ("state",)
    list_select_related = ("agent",)
    search_fields = ("name",)
    fields = (
        "name", "agent", "number", ("calls_per_minute", "max_at_once"),
        ("breaker_share", "breaker_sample"),
    )  # fmt: skip
    inlines = (RetryInline,)
    actions_detail = ("watch", "fill", "start", "stop")

    @display(  # type: ignore[untyped-decorator]
        description=gettext_lazy("state"),
        label={"running": "success", "broken": "danger", "stopped": "warning"},
        ordering="state",
    )
    def state_label(self, campaign: Campaign) -> tuple[str, str]:
        """Coloured by whether it calls."""
        return campaign.state, campaign.get_state_display()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who calls is settled once it has begun."""
        return () if obj is None or obj.state == Campaign.State.DRAFT else ("agent", "number")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only what has called nobody."""
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and (obj is None or obj.state == Campaign.State.DRAFT)

    def save_model(self, request: HttpRequest, obj: Campaign, form: Any, change: bool) -> None:
        """Only what the form shows: a worker may be changing the rest at this moment."""
        if not change:
            super().save_model(request, obj, form, change)
            return
        before = audit.snapshot(Campaign.objects.get(pk=obj.pk))
        obj.save(update_fields=[*form.changed_data, "updated_at"])
        self._note(request, "changed", obj, audit.difference(before, audit.snapshot(obj)))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """A new campaign without retries of its own gets the usual ones."""
        super().save_related(request, form, formsets, change)
        if not change and not form.instance.retries.exists():
            campaign_set_retries(form.instance, USUAL_RETRIES)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> Any:
        """Only what can be done now."""
        state = getattr(self.get_object(request, str(object_id)), "state", None)
        hidden = {
            "fill" if state != Campaign.State.DRAFT else "",
            "start" if state not in STARTABLE else "",
            "stop" if state != Campaign.State.RUNNING else "",
        }
        actions = super().get_actions_detail(request, object_id)
        return [each for each in actions if each.path not in hidden]

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Watch"),
        icon="monitoring",
        permissions=["calls.view_campaign"],
    )
    def watch(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """How it is going at this moment; the page keeps itself up to date."""
        campaign = self._campaign(request, object_id)
        found = funnel(campaign)
        context = {
            **self._context(request, campaign, _("Watch")),
            "campaign": campaign,
            "funnel": found,
            "may_stop": campaign.state == Campaign.State.RUNNING
            and self.has_change_permission(request, campaign),
            "outcomes": [(Outcome(name).label, count) for name, count in found.outcomes.items()],
        }
        page = TemplateResponse(request, "admin/calls/campaign.html", context)
        if campaign.state == Campaign.State.RUNNING or found.ringing or found.talking:
            page["Refresh"] = str(REFRESH_SECONDS)
        return page

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Audience from a file"),
        icon="upload_file",
        permissions=["calls.change_campaign"],
    )
    def fill(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take a CSV file's people in as the audience, all of them or none."""
        campaign = self._campaign(request, object_id)
        form = CsvFileForm(request.POST or None, request.FILES or None)
        if form.is_valid() and self._fill(request, campaign, form):
            return HttpResponseRedirect(_page(campaign))
        context = {
            **self._context(request, campaign, _("Audience from a file")),
            "form": form,
            "button": _("Import"),
        }
        return TemplateResponse(request, "admin/calls/form.html", context)

    def _fill(self, request: HttpRequest, campaign: Campaign, form: CsvFileForm) -> bool:
        try:
            rows = number_rows(form.cleaned_data["file"], strict=True)
            count = campaign_fill(campaign=campaign, rows=rows, actor=cast(Any, request.user))
        except FileFaults as error:
            form.faults = error.problems
            return False
        except CampaignError as error:
            form.add_error(None, str(error))
            return False
        messages.success(request, _("The audience has %(count)d people.") % {"count": count})
        return True

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Start"),
        icon="play_arrow",
        permissions=["calls.change_campaign"],
    )
    def start(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask on GET; call on POST."""
        question = _("People will be called from now on, within the calling hours.")
        return self._confirmed(request, object_id, _("Start"), question, campaign_start)

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Stop now"),
        icon="stop",
        permissions=["calls.change_campaign"],
    )
    def stop(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask on GET; stop on POST."""
        question = _("Calls that ring are hung up; conversations go on to their end.")
        return self._confirmed(request, object_id, _("Stop now"), question, campaign_stop)

    def _confirmed(
        self,
        request: HttpRequest,
        object_id: str,
        title: str,
        question: str,
        service: Callable[..., object],
    ) -> HttpResponse:
        campaign = self._campaign(request, object_id)
        if request.method != "POST":
            context = {**self._context(request, campaign, title), "lead": question}
            context["button"] = title
            return TemplateResponse(request, "admin/calls/form.html", context)
        try:
            service(campaign=campaign, actor=request.user)
        except (CampaignError, CallNotPlaced) as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(_page(campaign))
        return HttpResponseRedirect(reverse("admin:calls_campaign_watch", args=[campaign.pk]))

    def _context(self, request: HttpRequest, campaign: Campaign, title: str) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "title": f"{title}: {campaign}",
            "opts": self.opts,
            "back": _page(campaign),
        }

    def _campaign(self, request: HttpRequest, object_id: str) -> Campaign:
        campaign = self.get_object(request, object_id)
        if not isinstance(campaign, Campaign):
            raise Http404(_("There is no such campaign in the selected tenant."))
        return campaign


def _page(campaign: Campaign) -> str:
    return reverse("admin:calls_campaign_change", args=[campaign.pk])


class LatestCampaignsFilter(admin.SimpleListFilter):
    """Whose audience: one of the latest campaigns."""

    title = gettext_lazy("campaign")
    parameter_name = "campaign__id__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        """The latest; there may be thousands."""
        return list(Campaign.objects.order_by("-pk").values_list("pk", "name")[:MOST_LISTED])

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[CampaignContact]
    ) -> QuerySet[CampaignContact]:
        """Its people, or everybody's."""
        value = self.value()
        if not value:
            return queryset
        return queryset.filter(campaign=int(value)) if value.isdecimal() else queryset.none()


@admin.register(CampaignContact)
class CampaignContactAdmin(ReadOnly, TenantModelAdmin):
    """Who is in the audiences, and what became of calling them."""

    list_display = ("number", "campaign", "state", "outcome", "tries", "next_at", "line")
    list_filter = (LatestCampaignsFilter, "state", "outcome")
    list_select_related = ("campaign",)
    search_fields = ("number",)
    show_full_result_count = False
