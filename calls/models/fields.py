"""Columns that several models of calls have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from calls.phone_numbers import NotANumber, e164

E164_PATTERN = r"^\+[1-9][0-9]{6,14}$"


if TYPE_CHECKING:
    Text = models.CharField[Any, Any]
else:
    Text = models.CharField


class E164Field(Text):
    """A telephone number. People may write it with spaces; it is kept in E.164 form."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 16)
        super().__init__(*args, **kwargs)

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        """As Django's, of the number without its spaces and brackets."""
        if value:
            try:
                value = e164(str(value))
            except NotANumber as error:
                raise ValidationError(str(error), code="not_a_number") from None
        return super().clean(value, model_instance)

    def formfield(self, **kwargs: Any) -> Any:
        """Long enough for a number as it is printed on a letter."""
        return super().formfield(**{"max_length": 32, **kwargs})


def is_e164(field: str) -> Q:
    """The condition of a constraint: the column holds an E.164 number."""
    return Q(**{f"{field}__regex": E164_PATTERN})
