"""A form for a channel profile, made from its pydantic models.

The models say what is allowed; the form only turns text into their shape and puts their
reasons beside the fields. Field names are paths: `transcriber__turns__vad_threshold`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from agents.admin.fields import LexiconField, LinesField, TargetsField, VoicesField
from agents.admin.labels import CHOICES, LABELS
from agents.profiles import (
    Channel,
    ChannelProfile,
    InvalidProfile,
    TurnSettings,
    parse_profile,
)
from agents.refusals import limits, literal_choices

# Turn-taking is long; its limits of patience are looked for under "advanced".
LIMITS = ("away_after", "away_prompts", "caller_turn_limit", "max_duration")
TURNS = "transcriber__turns__"
# What one carrier alone can do is shown in its own profile; elsewhere it stays as it is.
ONLY_FOR: dict[str, Channel] = {"relay": "twilio"}
# Where a fault of a whole group is shown.
_GROUPS_FAULTS = {
    "transcriber.turns": f"{TURNS}endpointing_min",
    "advanced": "advanced__voicemail_message",
}


def paths(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every setting of a model with its path, groups opened."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from paths(field.annotation, f"{prefix}{name}__")
        else:
            yield f"{prefix}{name}", field


def groups_of(channel: Channel | None) -> dict[str, FieldInfo]:
    """The groups of settings that this channel's page shows; without a channel all."""
    return {
        group: field
        for group, field in ChannelProfile.model_fields.items()
        if channel is None or ONLY_FOR.get(group, channel) == channel
    }


class ProfileForm(forms.Form):
    """Reads and shows one `ChannelProfile`; `profile` holds the result when it is valid."""

    all_channels = forms.BooleanField(
        required=False,
        label=_("Use for every channel"),
        help_text=_("Also overwrite the profiles of the other channels with this one."),
        widget=UnfoldBooleanSwitchWidget,
    )

    def __init__(
        self,
        data: Any = None,
        *,
        stored: dict[str, Any],
        editable: bool,
        channel: Channel | None = None,
    ) -> None:
        super().__init__(data)
        self.profile: ChannelProfile | None = None
        self._channel = channel
        self._unseen = {
            name: part for name, part in stored.items() if name not in groups_of(channel)
        }
        for path, field in paths(ChannelProfile):
            if path.split("__")[0] in self._unseen:
                continue
            made = _form_field(path, field)
            made.initial = _value_at(stored, path)
            self.fields[path] = made
        for form_field in self.fields.values():
            form_field.disabled = not editable

    def clean(self) -> dict[str, Any]:
        """Let the models judge; every reason goes to its field."""
        cleaned = super().clean() or {}
        nested: dict[str, Any] = dict(self._unseen)
        for path, value in cleaned.items():
            if path != "all_channels":
                _put(nested, path.split("__"), value)
        channel = None if cleaned.get("all_channels") else self._channel
        try:
            self.profile = parse_profile(nested, channel)
        except InvalidProfile as error:
            for problem in error.problems:
                self.add_error(self._field_of(problem.path), problem.message)
        return cleaned

    def _field_of(self, path: str) -> str | None:
        """The form field nearest to a path such as `functions.transfer_targets.0.number`."""
        parts = path.split(".")
        while parts:
            name = "__".join(parts)
            if name in self.fields:
                return name
            parts.pop()
        return _GROUPS_FAULTS.get(path)


def fieldsets(title: str, channel: Channel) -> list[tuple[Any, dict[str, Any]]]:
    """One tab per group; turn-taking has its own. `title` stands above them."""
    names = [path for path, _field in paths(ChannelProfile)]
    limits = [f"{TURNS}{name}" for name in LIMITS]
    tabs: list[tuple[Any, dict[str, Any]]] = []
    for group, field in groups_of(channel).items():
        own = [n for n in names if n.startswith(f"{group}__") and not n.startswith(TURNS)]
        if group == "advanced":
            own = limits + own
        tabs.append((_(str(field.title)), {"fields": own, "classes": ["tab"]}))
        if group == "transcriber":
            turns = [n for n in names if n.startswith(TURNS) and n not in limits]
            tabs.append((_("Turn-taking"), {"fields": turns, "classes": ["tab"]}))
    return [(title, {"fields": ["all_channels"]}), *tabs]


def _form_field(path: str, field: FieldInfo) -> forms.Field:
    """The form field for a setting, by its type."""
    options: dict[str, Any] = {
        "required": False,
        "label": LABELS[path],
        "help_text": _help(path, field),
    }
    special = {
        "voice__lexicon": LexiconField,
        "voice__voices": VoicesField,
        **{f"{group}__fallbacks": LinesField for group in ("model", "voice", "transcriber")},
        "functions__transfer_targets": TargetsField,
    }.get(path)
    if special is not None:
        return special(**options)
    choices = [(value, CHOICES.get(value, value)) for value in literal_choices(field.annotation)]
    if choices and _is_list(field):
        widget = UnfoldAdminCheckboxSelectMultipleWidget
        return forms.MultipleChoiceField(choices=choices, widget=widget, **options)
    if choices:
        return forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget, **options)
    if field.annotation is bool:
        return forms.BooleanField(widget=UnfoldBooleanSwitchWidget, **options)
    if _is_list(field):
        return LinesField(**options)
    # numbers too: the models read them, and say what is allowed when they cannot
    return forms.CharField(widget=UnfoldAdminTextInputWidget, **options)


def _is_list(field: FieldInfo) -> bool:
    return str(field.annotation).startswith("tuple") or field.annotation == (
        TurnSettings.model_fields["backchannels"].annotation
    )


def _help(path: str, field: FieldInfo) -> str:
    about = str(_(field.description)) if field.description else ""
    if path.endswith("__fallbacks") and (choices := literal_choices(field.annotation)):
        known = _("Choices: %(choices)s.") % {"choices": ", ".join(choices)}
        return f"{about} {known}"
    if field.annotation not in {int, float}:
        return about
    unit = " ms" if field.annotation is int and path.startswith(TURNS) else ""
    unit = "" if path.endswith(("_words", "_prompts", "_digits")) else unit
    low, high = limits(field) or ("", "")
    values = {"low": low, "high": high, "default": field.default, "unit": unit}
    allowed = _("%(low)s to %(high)s%(unit)s; default %(default)s%(unit)s.") % values
    return f"{about} {allowed}"


def _value_at(stored: Any, path: str) -> Any:
    for name in path.split("__"):
        stored = stored[name]
    return stored


def _put(nested: dict[str, Any], names: list[str], value: Any) -> None:
    *groups, name = names
    for group in groups:
        nested = nested.setdefault(group, {})
    if name == "backchannels" and not value:
        value = None
    nested[name] = value
