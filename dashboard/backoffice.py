"""The back office's menu: its pages in groups, named in the operator's language."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

# Groups in order, and in each its models with their icons (Material Symbols).
GROUPS: tuple[tuple[Any, dict[str, str]], ...] = (
    (
        _("Agents"),
        {"agents.Agent": "support_agent", "agents.AgentVersion": "history_edu"},
    ),
    (
        _("Calls"),
        {
            "calls.Call": "call",
            "calls.Recording": "graphic_eq",
            "calls.TakenMessage": "sticky_note_2",
            "calls.CallBack": "phone_callback",
            "calls.Message": "sms",
            "calls.JournalEntry": "menu_book",
        },
    ),
    (
        _("Outbound calls"),
        {
            "calls.Campaign": "campaign",
            "calls.CampaignContact": "contacts",
            "calls.DoNotCall": "do_not_disturb_on",
            "calls.OutboundSettings": "phone_forwarded",
        },
    ),
    (
        _("Telephony"),
        {
            "calls.CarrierAccount": "cell_tower",
            "calls.Number": "dialpad",
            "calls.RoutingRule": "alt_route",
            "calls.OpeningHours": "schedule",
            "calls.RefusedCall": "phone_disabled",
            "calls.CarrierEvent": "rss_feed",
            "calls.StrayEvent": "help_center",
        },
    ),
    (
        _("Company"),
        {"tenants.Membership": "badge", "tenants.ApiKey": "key", "tenants.AuditEntry": "policy"},
    ),
    (
        _("Installation"),
        {
            "tenants.Tenant": "apartment",
            "tenants.User": "person",
            "auth.Group": "groups",
            "mfa.Authenticator": "phonelink_lock",
            "axes.AccessAttempt": "gpp_maybe",
            "axes.AccessFailureLog": "gpp_bad",
            "axes.AccessLog": "login",
        },
    ),
)
# A model whose library gave it no name that could be translated.
TITLES = {"mfa.Authenticator": _("Second factors")}
_OTHER_ICON = "table_rows"


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar's groups for this operator; a model that no group names gets one of its own."""
    apps = admin.site.get_app_list(request)
    pages = {_label(model): _page(model) for app in apps for model in app["models"]}
    groups = [
        {"title": title, "items": [_with_icon(pages, label, icon) for label, icon in icons.items()]}
        for title, icons in GROUPS
    ]
    named = {label for _title, icons in GROUPS for label in icons}
    rest = [{**page, "icon": _OTHER_ICON} for label, page in pages.items() if label not in named]
    groups.append({"title": _("More"), "items": rest})
    for group in groups:
        group["items"] = [page for page in group["items"] if page]
    return [group for group in groups if group["items"]]


def _label(model: dict[str, Any]) -> str:
    label: str = model["model"]._meta.label
    return label


def _page(model: dict[str, Any]) -> dict[str, Any]:
    return {"title": TITLES.get(_label(model), model["name"]), "link": model["admin_url"]}


def _with_icon(pages: dict[str, dict[str, Any]], label: str, icon: str) -> dict[str, Any]:
    page = pages.get(label)
    return {**page, "icon": icon} if page else {}
