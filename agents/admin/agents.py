"""Agents in the back office."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import action, display

from agents.models import Agent, AgentVersion
from agents.selectors import published_version
from agents.services import agent_create, agent_update, version_draft
from tenants.admin import TenantModelAdmin
from tenants.models import Tenant


class VersionInline(TabularInline):  # type: ignore[misc]
    """An agent's versions, to be opened."""

    model = AgentVersion
    fields = readonly_fields = ("number", "state", "published_at", "created_by", "notes")
    show_change_link = True
    can_delete = False
    extra = 0
    ordering = ("-number",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Drafts are made by the button."""
        return False


@admin.register(Agent)
class AgentAdmin(TenantModelAdmin):
    """Making an agent makes its first draft; what it says is in its versions."""

    list_display = ("name", "slug", "language", "published", "is_active", "updated_at")
    list_filter = ("language", "is_active")
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    inlines = (VersionInline,)
    actions_detail = ("open_draft",)

    def get_readonly_fields(self, request: HttpRequest, obj: Agent | None = None) -> Any:
        """Slug and language are in use once the agent exists."""
        return ("api_id", "slug", "language") if obj is not None else ()

    def get_fields(self, request: HttpRequest, obj: Agent | None = None) -> Any:
        """With the id by which the API knows it, once it has one."""
        names = ("name", "slug", "language", "is_active")
        return (*names, "api_id") if obj is not None else names

    @display(description=_("id in the API"))  # type: ignore[untyped-decorator]
    def api_id(self, agent: Agent) -> str:
        """What programs call it by."""
        return str(agent.public_id)

    def get_prepopulated_fields(self, request: HttpRequest, obj: Agent | None = None) -> Any:
        """Only while the slug can be typed."""
        return {} if obj is not None else self.prepopulated_fields

    def get_inlines(self, request: HttpRequest, obj: Agent | None) -> Any:
        """A new agent has no versions to show yet."""
        return self.inlines if obj is not None else ()

    def has_delete_permission(self, request: HttpRequest, obj: Agent | None = None) -> bool:
        """An agent is taken out of service, not deleted: its calls name it."""
        return False

    @admin.display(description=_("published"))
    def published(self, agent: Agent) -> str:
        """The number of the version that takes calls."""
        version = published_version(agent)
        return f"{version.number}" if version is not None else "–"  # noqa: RUF001

    def save_model(self, request: HttpRequest, obj: Agent, form: Any, change: bool) -> None:
        actor: Any = request.user
        if change:
            agent_update(agent=obj, actor=actor, name=obj.name, is_active=obj.is_active)
            return
        language: Any = obj.language
        made = agent_create(
            tenant=Tenant.objects.get(pk=request.tenant.pk),  # type: ignore[attr-defined]
            actor=actor,
            name=obj.name,
            slug=obj.slug,
            language=language,
        )
        obj.pk, obj.tenant_id, obj.public_id = made.pk, made.tenant_id, made.public_id
        obj._state.adding = False

    @action(  # type: ignore[untyped-decorator]
        description=_("Edit the draft"),
        icon="edit_note",
        permissions=["agents.change_agentversion"],
    )
    def open_draft(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to the draft, which is made if there is none."""
        agent = self.get_object(request, object_id)
        if agent is None:
            return HttpResponseRedirect(reverse("admin:agents_agent_changelist"))
        actor: Any = request.user
        draft = version_draft(agent=agent, actor=actor)
        return HttpResponseRedirect(reverse("admin:agents_agentversion_change", args=[draft.pk]))
