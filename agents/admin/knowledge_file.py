"""Knowledge from a file, in the back office: upload, and read what is wrong by line."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminFileFieldWidget

from agents.errors import KnowledgeFileError, VersionIsImmutable
from agents.models import AgentVersion
from agents.services.knowledge import FileFormat, ImportResult, knowledge_import
from tenants.audit import Actor

LARGEST_FILE = 2 * 1024 * 1024  # bytes
_FORMATS: dict[str, FileFormat] = {".csv": "csv", ".yaml": "yaml", ".yml": "yaml"}


class KnowledgeFileForm(forms.Form):
    """One CSV or YAML file. `faults` holds every (line, reason) once an import was refused."""

    file = forms.FileField(
        label=gettext_lazy("CSV or YAML file"),
        help_text=gettext_lazy(
            "Columns: question, answer, language, phrasings, tags, collect, closing. "
            "A question that is there already is replaced."
        ),
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ",".join(_FORMATS)}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.faults: list[tuple[int, str]] = []

    def clean_file(self) -> UploadedFile[bytes]:
        """Of a known kind, not too large, and text."""
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        if _suffix(file) not in _FORMATS:
            raise forms.ValidationError(_("The name of the file has to end in .csv or .yaml."))
        if (file.size or 0) > LARGEST_FILE:
            raise forms.ValidationError(_("The file is larger than 2 MB."))
        try:
            self.cleaned_data["text"] = file.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise forms.ValidationError(_("The file is not UTF-8 text.")) from None
        return file

    def bring_into(self, version: AgentVersion, actor: Actor) -> ImportResult | None:
        """Import the file of this valid form, or nothing of it: then None, and `faults` says why.

        The same for a version that was published in the meantime.
        """
        cleaned = self.cleaned_data
        try:
            return knowledge_import(
                version=version,
                actor=actor,
                text=cleaned["text"],
                file_format=_FORMATS[_suffix(cleaned["file"])],
            )
        except KnowledgeFileError as error:
            self.faults = error.problems
        except VersionIsImmutable as error:
            self.add_error(None, str(error))
        return None


def _suffix(file: UploadedFile[bytes]) -> str:
    return PurePath(file.name or "").suffix.lower()
