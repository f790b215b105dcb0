"""Form fields for tenant models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.db import models

if TYPE_CHECKING:
    Base = forms.ModelChoiceField[models.Model]
else:
    Base = forms.ModelChoiceField


class TenantChoiceField(Base):
    """Asks for its choices when a form is used, not when its class is defined."""

    def __init__(self, *, model: type[models.Model], queryset: Any = None, **kwargs: Any) -> None:
        self._model = model
        super().__init__(queryset=queryset, **kwargs)

    def _get_queryset(self) -> Any:
        return self._queryset if self._queryset is not None else self._model._default_manager.all()

    def _set_queryset(self, queryset: Any) -> None:
        self._queryset = None if queryset is None else queryset.all()
        if queryset is not None:  # a form is being made; Django copies its fields by this
            self.widget.choices = self.choices

    queryset = property(_get_queryset, _set_queryset)
