"""Form fields for the lists and tables of a channel profile, written as lines of text."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminTextareaWidget

_TARGET = re.compile(
    r"^(?P<name>[^=]+)=\s*(?P<number>[^()]+?)\s*(?P<warm>\bwarm)?\s*(?:\((?P<description>.*)\))?$"
)


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}), **kwargs)

    def to_python(self, value: Any) -> Any:
        lines = (value or "").splitlines()
        return [self.line(line.strip()) for line in lines if line.strip()]

    def line(self, text: str) -> Any:
        """The value of one line. Raises ValidationError."""
        return text

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return "\n".join(self.text(each) for each in value)
        return value

    def text(self, value: Any) -> str:
        """One value as its line."""
        return str(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.prepare_value(initial) != data)


class LexiconField(LinesField):
    """Words and how they sound: `word = sound` a line."""

    hint = gettext_lazy("“%(line)s”: write word = how it sounds")

    def to_python(self, value: Any) -> Any:
        return dict(super().to_python(value))

    def line(self, text: str) -> Any:
        word, sign, sound = (part.strip() for part in text.partition("="))
        if not sign:
            raise ValidationError(self.hint % {"line": text})
        return word, sound

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return "\n".join(f"{word} = {sound}" for word, sound in value.items())
        return value


class VoicesField(LexiconField):
    """Voices by dialect: `en-GB = voice` a line."""

    hint = gettext_lazy("“%(line)s”: write dialect = voice, such as en-GB = en-GB-SoniaNeural")


class TargetsField(LinesField):
    """People to transfer to: `name = +number warm (when)` a line; `warm` may be left out."""

    def line(self, text: str) -> Any:
        match = _TARGET.match(text)
        if match is None:
            message = _("“%(line)s”: write name = +number (when to use it)")
            raise ValidationError(message % {"line": text})
        texts = {key: (value or "").strip() for key, value in match.groupdict().items()}
        return {**texts, "warm": bool(texts["warm"])}

    def text(self, value: Any) -> str:
        about = f" ({value['description']})" if value.get("description") else ""
        warm = " warm" if value.get("warm") else ""
        return f"{value['name']} = {value['number']}{warm}{about}"


class WordsField(LinesField):
    """A short list of words, separated by commas."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.widget.attrs["rows"] = 1

    def to_python(self, value: Any) -> Any:
        return [word.strip() for word in (value or "").split(",") if word.strip()]

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list | tuple) else value
