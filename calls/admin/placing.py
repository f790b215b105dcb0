"""Placing a call from the back office."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from agents.models import Agent
from calls.errors import CallNotPlaced, TooFast
from calls.models import Number
from calls.services.outbound import Wanted, call_request
from tenants.forms import TenantChoiceField


class PlaceCallForm(forms.Form):
    """Whom to call, who talks, and which number is shown."""

    to_number = forms.CharField(
        max_length=32,
        label=gettext_lazy("Number to call"),
        help_text=gettext_lazy("With + and country code: +52 55 1234 5678"),
        widget=UnfoldAdminTextInputWidget(),
    )
    agent = TenantChoiceField(
        model=Agent, label=gettext_lazy("Agent"), widget=UnfoldAdminSelectWidget()
    )
    number = TenantChoiceField(
        model=Number,
        required=False,
        label=gettext_lazy("Number shown"),
        help_text=gettext_lazy("Empty: the agent's own"),
        widget=UnfoldAdminSelectWidget(),
    )


class PlacesCalls(ModelAdmin):  # type: ignore[misc]
    """Mixin: the list of calls has a button that places one."""

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Place a call"),
        icon="add_call",
        url_path="place-call",
        permissions=["calls.add_call"],
    )
    def place_call(self, request: HttpRequest) -> HttpResponse:
        """Ask for the number and the agent on GET; call on POST."""
        listed = reverse("admin:calls_call_changelist")
        if request.tenant is None:  # type: ignore[attr-defined]
            messages.warning(request, _("Select a tenant first: its data is only seen inside it."))
            return HttpResponseRedirect(reverse("admin:index"))
        form = PlaceCallForm(request.POST or None)
        if form.is_valid() and self._place(request, form):
            return HttpResponseRedirect(listed)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Place a call"),
            "opts": self.opts,
            "form": form,
            "button": pgettext("verb", "Call"),
            "back": listed,
        }
        return TemplateResponse(request, "admin/calls/form.html", context)

    def _place(self, request: HttpRequest, form: PlaceCallForm) -> bool:
        wanted = Wanted(**form.cleaned_data)
        try:
            placed = call_request(wanted=wanted, actor=cast(Any, request.user))
        except TooFast as error:
            form.add_error(None, str(error))
            return False
        except CallNotPlaced as error:  # what is no number at all
            form.add_error("to_number", str(error))
            return False
        if placed.refusal is not None:
            form.add_error(None, str(placed.refusal))
            return False
        messages.success(
            request, _("%(number)s is being called.") % {"number": placed.call.to_number}
        )
        return True
