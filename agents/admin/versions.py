"""Agent versions in the back office: edit a draft, its profiles and knowledge; publish it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import linebreaksbr
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import StackedInline
from unfold.decorators import action
from unfold.forms import AdminForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from agents.admin.fields import WordsField
from agents.admin.knowledge_file import KnowledgeFileForm
from agents.admin.profile_form import ProfileForm, fieldsets, groups_of
from agents.errors import AgentsError
from agents.models import AgentVersion, KnowledgeEntry, VersionState
from agents.models.agent import LANGUAGE_CHOICES, LANGUAGE_NAMES
from agents.profiles import CHANNELS, LANGUAGES, Channel
from agents.selectors import published_version
from agents.services import version_diff, version_publish, version_roll_back, version_save
from tenants.admin import TenantModelAdmin

if TYPE_CHECKING:
    VersionModelForm = forms.ModelForm[AgentVersion]
    EntryModelForm = forms.ModelForm[KnowledgeEntry]
else:
    VersionModelForm = EntryModelForm = forms.ModelForm

_TITLES: dict[Channel, Any] = {
    "browser": gettext_lazy("Browser"),
    "twilio": "Twilio",
    "telnyx": "Telnyx",
    "threecx": "3CX",
}


class VersionForm(VersionModelForm):
    """The version's own texts; the greeting is one field per language."""

    languages = forms.MultipleChoiceField(
        choices=LANGUAGE_CHOICES,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        label=gettext_lazy("Languages"),
    )
    greeting_es = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        label=gettext_lazy("Greeting in Spanish"),
        help_text=gettext_lazy("What it says first. Empty: the caller speaks first."),
    )
    greeting_en = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        label=gettext_lazy("Greeting in English"),
        help_text=gettext_lazy("What it says first. Empty: the caller speaks first."),
    )

    class Meta:
        model = AgentVersion
        fields = ("prompt", "languages", "notes")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for language in LANGUAGES:
            self.initial[f"greeting_{language}"] = self.instance.greeting.get(language, "")

    def clean(self) -> dict[str, Any]:
        """Put the greetings together, of the languages that are spoken."""
        cleaned = super().clean() or {}
        self.instance.greeting = {
            language: cleaned.get(f"greeting_{language}", "")
            for language in cleaned.get("languages", ())
        }
        return cleaned


class EntryForm(EntryModelForm):
    """One knowledge entry; lists are written with commas."""

    tags = WordsField(required=False, help_text=gettext_lazy("Separated by commas."))
    collect = WordsField(
        required=False,
        label=gettext_lazy("Ask the caller for"),
        help_text=gettext_lazy(
            "After the answer, in this order: name, phone, date, people, number."
        ),
    )

    class Meta:
        model = KnowledgeEntry
        fields = (
            "question", "phrasings", "answer", "language", "tags", "collect", "closing", "position",
        )  # fmt: skip


class KnowledgeInline(StackedInline):  # type: ignore[misc]
    """What the version knows."""

    model = KnowledgeEntry
    form = EntryForm
    extra = 0
    tab = True
    collapsible = True
    ordering = ("position", "id")

    def _may_edit(self, obj: AgentVersion | None) -> bool:
        return obj is None or obj.is_draft

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only to a draft."""
        return self._may_edit(obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only of a draft."""
        return self._may_edit(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only from a draft."""
        return self._may_edit(obj)


@admin.register(AgentVersion)
class AgentVersionAdmin(TenantModelAdmin):
    """A draft can be edited; what was published is only shown."""

    form = VersionForm
    list_display = ("__str__", "state", "published_at", "created_by", "notes")
    list_filter = ("state", "agent")
    list_select_related = ("agent", "created_by")
    fields = ("prompt", "languages", "greeting_es", "greeting_en", "notes")
    inlines = (KnowledgeInline,)
    actions_detail = (
        {
            "title": gettext_lazy("Channel profiles"),
            "icon": "tune",
            "items": ["edit_browser", "edit_twilio", "edit_telnyx", "edit_threecx"],
        },
        "import_knowledge",
        "show_diff",
        "publish",
        "roll_back",
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Drafts are made from the agent's page."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only drafts change."""
        allowed: bool = super().has_change_permission(request, obj)
        return allowed and (not isinstance(obj, AgentVersion) or obj.is_draft)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only drafts go."""
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and isinstance(obj, AgentVersion) and obj.is_draft

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A version that cannot change shows what it holds, not a form."""
        if obj is None or obj.is_draft:
            return self.fields
        return ("state", "published_at", "whole_prompt", "spoken", "greetings", "notes")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What a version that cannot change is shown by."""
        return () if obj is None or obj.is_draft else ("whole_prompt", "spoken", "greetings")

    @admin.display(description=gettext_lazy("Prompt"))
    def whole_prompt(self, version: AgentVersion) -> str:
        """The prompt with its lines."""
        return linebreaksbr(version.prompt)

    @admin.display(description=gettext_lazy("Languages"))
    def spoken(self, version: AgentVersion) -> str:
        """The languages by name."""
        return ", ".join(str(LANGUAGE_NAMES.get(code, code)) for code in version.languages)

    @admin.display(description=gettext_lazy("Greeting"))
    def greetings(self, version: AgentVersion) -> str:
        """One line per language."""
        return linebreaksbr("\n".join(f"{k}: {text}" for k, text in version.greeting.items()))

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> Any:
        """Only what can be done: a draft is published, a retired version comes back."""
        version = self.get_object(request, str(object_id))
        state = getattr(version, "state", None)
        hidden = {
            *(("publish", "import_knowledge") if state != VersionState.DRAFT else ()),
            "roll_back" if state != VersionState.RETIRED else "",
        }
        actions = super().get_actions_detail(request, object_id)
        return [each for each in actions if each.path not in hidden]

    def save_model(self, request: HttpRequest, obj: AgentVersion, form: Any, change: bool) -> None:
        version_save(
            version=obj,
            actor=cast(Any, request.user),
            prompt=obj.prompt,
            languages=obj.languages,
            greeting=obj.greeting,
            notes=obj.notes,
        )

    # --- profiles -------------------------------------------------------------------------

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Browser profile"),
        icon="language",
        permissions=["agents.view_agentversion"],
    )
    def edit_browser(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Settings for calls from a web page."""
        return self._edit_profile(request, object_id, "browser")

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Twilio profile"),
        icon="call",
        permissions=["agents.view_agentversion"],
    )
    def edit_twilio(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Settings for calls over Twilio."""
        return self._edit_profile(request, object_id, "twilio")

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Telnyx profile"),
        icon="call",
        permissions=["agents.view_agentversion"],
    )
    def edit_telnyx(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Settings for calls over Telnyx."""
        return self._edit_profile(request, object_id, "telnyx")

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("3CX profile"),
        icon="call",
        permissions=["agents.view_agentversion"],
    )
    def edit_threecx(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Settings for calls over a 3CX."""
        return self._edit_profile(request, object_id, "threecx")

    def _edit_profile(self, request: HttpRequest, object_id: str, channel: Channel) -> HttpResponse:
        version = self._version(request, object_id)
        stored = version.profile(channel).model_dump(mode="json")
        editable = self.has_change_permission(request, version)
        sent = request.POST if request.method == "POST" and editable else None
        form = ProfileForm(sent, stored=stored, editable=editable, channel=channel)
        if form.is_valid():
            self._save_profile(request, version, channel, form)
            if "_continue" in request.POST:
                return HttpResponseRedirect(request.path)
            return HttpResponseRedirect(_page(version))
        return self._profile_page(request, version, channel, form)

    def _save_profile(
        self, request: HttpRequest, version: AgentVersion, channel: Channel, form: ProfileForm
    ) -> None:
        assert form.profile is not None  # noqa: S101 - a valid form has one
        changed = CHANNELS if form.cleaned_data["all_channels"] else (channel,)
        profile = form.profile.model_dump(mode="json")
        unseen = profile.keys() - groups_of(channel).keys()
        profiles = dict(version.profiles)
        for each in changed:
            own = version.profile(each).model_dump(mode="json")
            profiles[each] = {**profile, **{group: own[group] for group in unseen}}
        version_save(
            version=version,
            actor=cast(Any, request.user),
            profiles=profiles,
        )
        names = ", ".join(changed)
        messages.success(request, _("The profile was saved for: %(names)s.") % {"names": names})

    def _profile_page(
        self, request: HttpRequest, version: AgentVersion, channel: Channel, form: ProfileForm
    ) -> HttpResponse:
        names = {"channel": _TITLES[channel], "version": version}
        title = _("%(channel)s profile of %(version)s") % names
        shown = AdminForm(cast(Any, form), fieldsets(title, channel), {}, (), model_admin=self)
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "adminform": shown,
            "object_id": str(version.pk),
            "original": version,
            "is_popup": False,
            "to_field": None,
            "media": self.media + shown.media,
            "inline_admin_formsets": [],
            "errors": helpers.AdminErrorList(cast(Any, form), []),
            "preserved_filters": "",
            "show_delete": False,
            "show_save_and_add_another": False,
        }
        page: HttpResponse = self.render_change_form(
            request, context, add=False, change=True, obj=version
        )
        return page

    # --- knowledge ------------------------------------------------------------------------

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Import knowledge"),
        icon="upload_file",
        permissions=["agents.change_agentversion"],
    )
    def import_knowledge(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Bring a file's questions and answers into a draft, all of them or none."""
        version = self._version(request, object_id)
        if not self.has_change_permission(request, version):
            raise PermissionDenied
        form = KnowledgeFileForm(request.POST or None, request.FILES or None)
        result = form.bring_into(version, cast(Any, request.user)) if form.is_valid() else None
        if result is not None:
            counts = {"created": result.created, "updated": result.updated}
            done = _("Imported: %(created)d new, %(updated)d replaced.") % counts
            messages.success(request, done)
            return HttpResponseRedirect(_page(version))
        context = {
            **self.admin_site.each_context(request),
            "title": f"{_('Import knowledge')}: {version}",
            "opts": self.opts,
            "form": form,
            "back": _page(version),
        }
        return TemplateResponse(request, "admin/agents/knowledge_import.html", context)

    # --- publishing -----------------------------------------------------------------------

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Differences"),
        icon="difference",
        permissions=["agents.view_agentversion"],
    )
    def show_diff(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What differs from the version that takes calls now."""
        version = self._version(request, object_id)
        return self._confirm_page(request, version, _("Differences"), button=None)

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Publish"),
        icon="publish",
        permissions=["agents.change_agentversion"],
    )
    def publish(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what will change, then let the draft take calls."""
        return self._confirmed(
            request, object_id, _("Publish"), version_publish, _("Version %(number)d takes calls.")
        )

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Roll back to this"),
        icon="history",
        permissions=["agents.change_agentversion"],
    )
    def roll_back(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what will change, then let a retired version take calls again."""
        return self._confirmed(
            request, object_id, _("Roll back"), version_roll_back,
            _("Version %(number)d takes calls again."),
        )  # fmt: skip

    def _confirmed(
        self,
        request: HttpRequest,
        object_id: str,
        title: str,
        service: Callable[..., AgentVersion],
        done: str,
    ) -> HttpResponse:
        """A page to look at on GET; the deed on POST."""
        version = self._version(request, object_id)
        if request.method != "POST":
            return self._confirm_page(request, version, title, button=title)
        try:
            service(version=version, actor=request.user)
        except (AgentsError, ValidationError) as error:
            for text in getattr(error, "messages", [str(error)]):
                messages.error(request, text)
        else:
            messages.success(request, done % {"number": version.number})
        return HttpResponseRedirect(_page(version))

    def _confirm_page(
        self, request: HttpRequest, version: AgentVersion, title: str, button: str | None
    ) -> HttpResponse:
        current = published_version(version.agent)
        differences = version_diff(current, version) if current is not None else []
        context = {
            **self.admin_site.each_context(request),
            "title": f"{title}: {version}",
            "opts": self.opts,
            "version": version,
            "current": current,
            "differences": differences,
            "button": button,
            "back": _page(version),
        }
        return TemplateResponse(request, "admin/agents/version_confirm.html", context)

    def _version(self, request: HttpRequest, object_id: str) -> AgentVersion:
        version = self.get_object(request, object_id)
        if not isinstance(version, AgentVersion):
            raise Http404(_("There is no such version in the selected tenant."))
        return version


def _page(version: AgentVersion) -> str:
    return reverse("admin:agents_agentversion_change", args=[version.pk])
