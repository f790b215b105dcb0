"""Reading knowledge from CSV and YAML files, with errors by line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import yaml
from django.core.exceptions import ValidationError as ModelError
from django.db.models import Max
from django.utils.translation import gettext
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from agents.errors import KnowledgeFileError
from agents.models import AgentVersion, KnowledgeEntry
from agents.refusals import refusal
from tenants import audit
from tenants.audit import Actor
from tenants.db import tenant_transaction

FileFormat = Literal["csv", "yaml"]
MAX_ROWS = 2000


class KnowledgeRow(BaseModel):
    """One row of a file. In CSV, lists are separated by `|` (or `,` for tags and slots)."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    question: str = Field(min_length=1, max_length=300)
    answer: str = Field(min_length=1, max_length=2000)
    language: str = ""
    phrasings: list[str] = []
    tags: list[str] = []
    collect: list[str] = []
    closing: str = Field("", max_length=500)

    @field_validator("phrasings", mode="before")
    @classmethod
    def _split_phrasings(cls, value: Any) -> Any:
        return _split(value, "|")

    @field_validator("tags", "collect", mode="before")
    @classmethod
    def _split_words(cls, value: Any) -> Any:
        return _split(value.replace("|", ",") if isinstance(value, str) else value, ",")


@dataclass(frozen=True, slots=True)
class ImportResult:
    """How many entries a file brought."""

    created: int
    updated: int


def knowledge_import(
    *, version: AgentVersion, actor: Actor, text: str, file_format: FileFormat
) -> ImportResult:
    """Add a file's rows to a draft; a row whose question is there already replaces it.

    All or nothing: raises KnowledgeFileError with every faulty line, or VersionIsImmutable.
    Rows without a language are in the version's first one.
    """
    with tenant_transaction(version.tenant_id):
        if not version.is_draft:
            raise version.refusal()
        entries = _checked_entries(version, text, file_format)
        created = sum(entry.pk is None for _line, entry in entries)
        for _line, entry in entries:
            entry.save()
        result = ImportResult(created, len(entries) - created)
        audit.record(
            action="agent.knowledge_imported",
            actor=actor,
            target=version,
            changes={"created": result.created, "updated": result.updated},
        )
    return result


def _checked_entries(
    version: AgentVersion, text: str, file_format: FileFormat
) -> list[tuple[int, KnowledgeEntry]]:
    problems: list[tuple[int, str]] = []
    entries: list[tuple[int, KnowledgeEntry]] = []
    lines: dict[tuple[str, str], int] = {}
    last = KnowledgeEntry.objects.filter(version=version).aggregate(last=Max("position"))["last"]
    for line, data in _rows(text, file_format):
        try:
            row = KnowledgeRow.model_validate(data)
        except ValidationError as error:
            problems += [(line, _reason(each)) for each in error.errors()]
            continue
        entry = _entry(version, row, position=(last or 0) + len(entries) + 1)
        key = (entry.language, entry.question.casefold())
        if key in lines:
            same = gettext("question is the same as in line %(line)s") % {"line": lines[key]}
            problems.append((line, same))
        lines[key] = line
        problems += [(line, reason) for reason in _model_faults(entry)]
        entries.append((line, entry))
    if not entries and not problems:
        problems.append((1, gettext("the file holds no rows")))
    if problems:
        raise KnowledgeFileError(problems)
    return entries


def _entry(version: AgentVersion, row: KnowledgeRow, *, position: int) -> KnowledgeEntry:
    language = row.language or version.language
    entry = KnowledgeEntry.objects.filter(
        version=version, language=language, question=row.question
    ).first() or KnowledgeEntry(version=version, language=language, position=position)
    entry.version = version
    entry.question, entry.answer, entry.closing = row.question, row.answer, row.closing
    entry.phrasings = "\n".join(row.phrasings)
    entry.tags, entry.collect = row.tags, row.collect
    return entry


def _model_faults(entry: KnowledgeEntry) -> list[str]:
    try:
        entry.full_clean(exclude=["tenant", "search_vector", "trigrams"])
    except ModelError as error:
        return [f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items()]
    return []


def _rows(text: str, file_format: FileFormat) -> Iterator[tuple[int, Any]]:
    rows = _csv_rows(text) if file_format == "csv" else _yaml_rows(text)
    for count, row in enumerate(rows, start=1):
        if count > MAX_ROWS:
            most = gettext("a file may hold %(count)s rows at most") % {"count": MAX_ROWS}
            raise KnowledgeFileError([(row[0], most)])
        yield row


def _csv_rows(text: str) -> Iterator[tuple[int, Any]]:
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        for row in reader:
            if None in row:
                raise KnowledgeFileError([(reader.line_num, gettext("more cells than columns"))])
            yield reader.line_num, {key: value for key, value in row.items() if value}
    except csv.Error as error:
        raise KnowledgeFileError([(reader.reader.line_num, str(error))]) from None


def _yaml_rows(text: str) -> Iterator[tuple[int, Any]]:
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if not isinstance(root, yaml.SequenceNode):
            raise KnowledgeFileError([(1, gettext("the file must be a list of entries"))])
        for node in root.value:
            yield node.start_mark.line + 1, loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        reason = gettext("not YAML: %(problem)s") % {"problem": error.problem}
        raise KnowledgeFileError([(line, reason)]) from None
    finally:
        loader.dispose()


def _reason(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        columns = ", ".join(KnowledgeRow.model_fields)
        values = {"name": repr(name), "columns": columns}
        return gettext("%(name)s is no column; columns are %(columns)s") % values
    return refusal(error, KnowledgeRow).message if name else gettext("not an entry")


def _split(value: Any, separator: str) -> Any:
    if isinstance(value, str):
        return [part.strip() for part in value.split(separator) if part.strip()]
    return value
