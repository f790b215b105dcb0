"""Carrier accounts in the back office: keys go in, and never come out."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.html import format_html_join
from django.utils.text import capfirst
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from redis.exceptions import RedisError
from unfold.decorators import display
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from calls.carriers.links import webhook_url
from calls.models import CarrierAccount
from calls.providers.carriers.registry import CARRIERS, carrier, has_no_webhooks
from calls.providers.carriers.trunk import Extension
from calls.selectors.accounts import is_refused
from calls.services.accounts import (
    UnfitKeys,
    account_check_on_commit,
    account_set_keys,
    secret_fields,
)
from calls.trunks.shared import extensions_now
from calls.wording import shown
from tenants.admin import TenantModelAdmin
from tenants.sealing import CannotUnseal

_PREFIX = "key_"
_LABELS = {
    "account_sid": gettext_lazy("Account SID"),
    "api_key": gettext_lazy("API key"),
    "api_key_secret": gettext_lazy("API key's secret"),
    "api_key_sid": gettext_lazy("API key's SID"),
    "auth_token": gettext_lazy("Auth token"),
    "base_url": gettext_lazy("Address"),
    "client_id": gettext_lazy("Client id"),
    "client_secret": gettext_lazy("Client secret"),
    "connection_id": gettext_lazy("Connection id"),
    "edge": gettext_lazy("Edge"),
    "messaging_profile_id": gettext_lazy("Messaging profile"),
    "overflow": gettext_lazy("Overflow extension"),
    "public_key": gettext_lazy("Public key"),
    "region": gettext_lazy("Region"),
}
_HELP = {
    "api_key_secret": gettext_lazy("Only together with the API key's SID"),
    "api_key_sid": gettext_lazy("Empty: commands are sent with the auth token"),
    "base_url": gettext_lazy(
        "The telephone system's own, with its port: https://company.3cx.eu:5001"
    ),
    "client_id": gettext_lazy("Of the API client in 3CX; people dial it as an extension"),
    "client_secret": gettext_lazy("The API key that 3CX shows once"),
    "connection_id": gettext_lazy("The number of the Voice API application, such as 1234567890"),
    "edge": gettext_lazy("Only with a region, such as dublin"),
    "messaging_profile_id": gettext_lazy("Only for WhatsApp from a number without SMS"),
    "overflow": gettext_lazy("Takes the calls that no agent may take. Empty: they are dropped"),
    "public_key": gettext_lazy("The account's, under Keys & Credentials; not the API key"),
    "region": gettext_lazy("Empty: US1. Another, such as ie1, has an auth token of its own"),
}

if TYPE_CHECKING:
    AccountModelForm = forms.ModelForm[CarrierAccount]
else:
    AccountModelForm = forms.ModelForm


class AccountForm(AccountModelForm):
    """The account, and its carrier's keys under names that begin with `key_`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            if name.startswith(_PREFIX):
                self._show(name.removeprefix(_PREFIX), field)

    def _show(self, name: str, field: forms.Field) -> None:
        """What is there already: a secret by its end and its day alone."""
        known = self.instance.hint.get(name)
        if isinstance(known, dict):
            field.required = False
            field.help_text = _(
                "Set on %(day)s, ends in “%(last)s”. Leave it empty to keep it."
            ) % {
                "day": date_format(date.fromisoformat(known["set_on"])),
                "last": known["last"] or "…",
            }
        elif known:
            self.initial[_PREFIX + name] = known

    def clean(self) -> dict[str, Any]:
        """Seal what was entered, or say field by field what is wrong with it."""
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        self.instance.carrier = cleaned.get("carrier") or self.instance.carrier
        entered = {
            name.removeprefix(_PREFIX): str(text or "")
            for name, text in cleaned.items()
            if name.startswith(_PREFIX)
        }
        try:
            account_set_keys(account=self.instance, entered=entered)
        except UnfitKeys as unfit:
            for name, words in unfit.problems.items():
                self.add_error(
                    _PREFIX + name if _PREFIX + name in self.fields else None, shown(words)
                )
        except CannotUnseal:
            self.add_error(None, _("The stored keys cannot be read: enter all of them again."))
            self.instance.secrets = ""
        if not self.errors and self._is_known():
            self.add_error(None, _("This account is here already."))
        return cleaned

    def _is_known(self) -> bool:
        same = CarrierAccount.objects.filter(
            carrier=self.instance.carrier, external_id=self.instance.external_id
        )
        return same.exclude(pk=self.instance.pk).exists()


def _form_for(name: str) -> type[AccountForm]:
    """The form with the fields of one carrier's keys."""
    entry = carrier(name)
    secrets = secret_fields(entry)
    fields: dict[str, Any] = {}
    for key, field in entry.credentials.model_fields.items():
        widget = UnfoldAdminPasswordWidget() if key in secrets else UnfoldAdminTextInputWidget()
        fields[_PREFIX + key] = forms.CharField(
            label=capfirst(_LABELS.get(key, key.replace("_", " "))),
            required=field.is_required(),
            help_text=_HELP.get(key, ""),
            widget=widget,
        )
    return type("AccountForm", (AccountForm,), fields)


def _own_fields(carrier_name: str) -> list[str]:
    """What is said of an account beside its keys."""
    at_a_pbx = ["answers_as"] if has_no_webhooks(carrier_name) else ["record_calls"]
    return ["carrier", "label", "is_active", "calls_per_second", *at_a_pbx]


def _how(extension: Extension) -> str:
    if not extension.registered:
        return _("no telephone is connected")
    return _("busy") if extension.busy else _("free")


def _refusal(account: CarrierAccount) -> list[str]:
    """What no check can find out: that its carrier signs with another key than the one here."""
    if account.refused_at is None or not is_refused(account):
        return []
    words = _(
        "The last webhook was refused on %(day)s: %(why)s. Unless somebody else sent it, the key "
        "that webhooks are signed with is not the one entered here."
    )
    day = date_format(localtime(account.refused_at), "SHORT_DATETIME_FORMAT")
    return [words % {"day": day, "why": _(account.refused_why)}]


@admin.register(CarrierAccount)
class CarrierAccountAdmin(TenantModelAdmin):
    """The tenant's accounts. A new one is made for a carrier: `add/?carrier=telnyx`."""

    list_display = ("title", "carrier", "is_active", "checked_at", "result")
    list_filter = ("carrier", "is_active")
    search_fields = ("label", "external_id", "checked_name")
    readonly_fields = ("webhooks", "extensions", "checked_at", "result")
    actions = ("check_connection",)

    def get_form(
        self,
        request: HttpRequest,
        obj: CarrierAccount | None = None,
        change: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Its fields are those of the carrier."""
        kwargs["form"] = _form_for(self._carrier(request, obj))
        kwargs["fields"] = _own_fields(self._carrier(request, obj))
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: CarrierAccount | None = None) -> Any:
        """Keys by themselves; what was found, once there is something."""
        form = _form_for(self._carrier(request, obj))
        keys = [name for name in form.declared_fields if name.startswith(_PREFIX)]
        parts: list[Any] = [
            (None, {"fields": _own_fields(self._carrier(request, obj))}),
            (_("Keys"), {"fields": keys}),
        ]
        if obj is not None:
            shown = "extensions" if has_no_webhooks(obj.carrier) else "webhooks"
            parts.append((_("Connection"), {"fields": [shown, "checked_at", "result"]}))
        return parts

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """The carriers that there are; the page is that of one."""
        if db_field.name == "carrier":
            kwargs["choices"] = [(entry.name, entry.title) for entry in CARRIERS]
            kwargs["initial"] = self._carrier(request, None)
        field = super().formfield_for_choice_field(db_field, request, **kwargs)
        if field is not None and db_field.name == "carrier":
            field.help_text = _("Another carrier has other keys: choose it before you enter them.")
            field.widget.attrs["onchange"] = "location.search = '?carrier=' + this.value"
        return field

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """An account stays at its carrier."""
        return (*self.readonly_fields, "carrier") if obj is not None else self.readonly_fields

    def _carrier(self, request: HttpRequest, obj: CarrierAccount | None) -> str:
        wanted = request.POST.get("carrier") or request.GET.get("carrier", "")
        known = {entry.name for entry in CARRIERS}
        if obj is not None:
            return obj.carrier
        return wanted if wanted in known else CARRIERS[0].name

    def save_model(
        self, request: HttpRequest, obj: CarrierAccount, form: Any, change: bool
    ) -> None:
        """New keys are tried at once."""
        super().save_model(request, obj, form, change)
        if obj.checked_at is None:
            account_check_on_commit(obj)

    @admin.action(description=gettext_lazy("Check the connection"), permissions=["change"])
    def check_connection(self, request: HttpRequest, queryset: QuerySet[CarrierAccount]) -> None:
        """Ask the carriers who we are there."""
        accounts = list(queryset)
        for account in accounts:
            self._note(request, "checked", account)
            account_check_on_commit(account)
        text = ngettext(
            "%(n)d account is being checked; the result is shown here in a moment.",
            "%(n)d accounts are being checked; the results are shown here in a moment.",
            len(accounts),
        )
        messages.info(request, text % {"n": len(accounts)})

    @display(description=gettext_lazy("account"), ordering="label")  # type: ignore[untyped-decorator]
    def title(self, account: CarrierAccount) -> str:
        """What it is called here, else there."""
        return account.label or account.checked_name or account.external_id

    @display(description=gettext_lazy("webhooks' address"))  # type: ignore[untyped-decorator]
    def webhooks(self, account: CarrierAccount) -> str:
        """What has to be entered at the carrier."""
        address = webhook_url(account.carrier, account.public_id)
        kinds = [f"{address}/{kind}" for kind in carrier(account.carrier).entered]
        return format_html_join("\n", "{}<br>", ((line,) for line in kinds or [address]))

    @display(description=gettext_lazy("extensions"))  # type: ignore[untyped-decorator]
    def extensions(self, account: CarrierAccount) -> str:
        """Who is at the PBX now, as far as whoever listens to it has seen."""
        try:
            found = extensions_now(account.carrier, str(account.public_id))
        except (RedisError, OSError):
            return _("Not known at the moment")
        seen = [f"{each.number}: {_how(each)}" for each in found.extensions]
        if not found.listening:
            seen.insert(0, _("Nobody is connected to this telephone system now; as last seen:"))
        return format_html_join("\n", "{}<br>", ((line,) for line in seen)) or "-"

    @display(description=gettext_lazy("connection"))  # type: ignore[untyped-decorator]
    def result(self, account: CarrierAccount) -> str:
        """What the last check found, and whether webhooks are refused, in clear sentences."""
        found = [*map(shown, account.problems), *_refusal(account)]
        if found:
            return format_html_join("\n", "{}<br>", ((problem,) for problem in found))
        if account.checked_at is None:
            return _("Not checked yet")
        return _("In order: %(name)s") % {"name": account.checked_name or account.external_id}
