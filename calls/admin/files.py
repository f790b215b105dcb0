"""Uploading a CSV file in the back office."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminFileFieldWidget

LARGEST_FILE = 10 * 1024 * 1024  # bytes


class CsvFileForm(forms.Form):
    """One CSV file. `faults` holds every (line, reason) once it was refused."""

    file = forms.FileField(
        label=gettext_lazy("CSV file"),
        help_text=gettext_lazy(
            "The first line names the columns; one is “number”, with + and country code."
        ),
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.faults: list[tuple[int, str]] = []

    def clean_file(self) -> str:
        """The text of the file, of the right kind and not too large."""
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        if PurePath(file.name or "").suffix.lower() != ".csv":
            raise forms.ValidationError(_("The name of the file has to end in .csv."))
        if (file.size or 0) > LARGEST_FILE:
            raise forms.ValidationError(_("The file is larger than 10 MB."))
        try:
            return str(file.read(), "utf-8-sig")
        except UnicodeDecodeError:
            raise forms.ValidationError(_("The file is not UTF-8 text.")) from None
