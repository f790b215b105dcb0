"""Lists of telephone numbers from CSV files, with errors by line: all of a file, or nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext

from calls.errors import FileFaults
from calls.phone_numbers import NotANumber, e164

MOST_ROWS = 50_000
MOST_FAULTS = 200  # that are told; the rest is the same mistake
LONGEST_CELL = 1000
NUMBER_COLUMNS = ("number", "phone", "telephone", "telefono", "teléfono", "numero", "número")


@dataclass(frozen=True, slots=True)
class NumberRow:
    """A line of the file: its number, and its other cells by column."""

    line: int
    number: str
    values: Mapping[str, str]


def number_rows(
    text: str, *, strict: bool, columns: Collection[str] | None = None
) -> list[NumberRow]:
    """All rows of the file. Raises FileFaults with every faulty line.

    The first line names the columns; one of them is `number`, and the others are one of
    `columns` or, without these, anything. A number that comes twice is a fault, since its rows
    may say different things. `strict` as in `calls.phone_numbers.e164`.
    """
    return _gathered(_lines(text, columns), strict)


def number_entries(entries: Sequence[Mapping[str, str]], *, strict: bool) -> list[NumberRow]:
    """As `number_rows`, of a list that is no file: an entry's line is its place, from 1."""
    return _gathered(enumerate(entries, start=1), strict)


def _gathered(lines: Iterable[tuple[int, Mapping[str, str]]], strict: bool) -> list[NumberRow]:
    faults: list[tuple[int, str]] = []
    rows: list[NumberRow] = []
    seen: dict[str, int] = {}
    for line, cells in lines:
        try:
            row = _row(line, cells, strict=strict)
        except (NotANumber, ValueError) as error:
            faults.append((line, str(error)))
            continue
        if row.number in seen:
            again = gettext("%(number)s is in line %(line)s already")
            faults.append((line, again % {"number": row.number, "line": seen[row.number]}))
        seen.setdefault(row.number, line)
        rows.append(row)
    if not rows and not faults:
        faults.append((1, gettext("the file holds no rows")))
    if faults:
        raise FileFaults(faults[:MOST_FAULTS])
    return rows


def _row(line: int, cells: Mapping[str, str], *, strict: bool) -> NumberRow:
    values = dict(cells)
    number = values.pop("number", "")
    if not number:
        raise ValueError(gettext("there is no number"))
    too_long = [name for name, text in values.items() if len(text) > LONGEST_CELL]
    if too_long:
        raise ValueError(
            gettext("%(column)s is longer than %(most)d characters")
            % {"column": too_long[0], "most": LONGEST_CELL}
        )
    return NumberRow(line, e164(number, strict=strict), values)


def _lines(text: str, columns: Collection[str] | None) -> Iterator[tuple[int, dict[str, str]]]:
    if "\x00" in text:
        raise FileFaults([(1, gettext("the file is not text"))])
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), _dialect(text), strict=True)
    try:
        names = _header(next(reader, []), columns)
        for count, cells in enumerate(reader, start=1):
            if count > MOST_ROWS:
                most = gettext("a file may hold %(count)s rows at most") % {"count": MOST_ROWS}
                raise FileFaults([(reader.line_num, most)])
            if len(cells) > len(names):
                raise FileFaults([(reader.line_num, gettext("more cells than columns"))])
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                yield reader.line_num, dict(zip(names, stripped, strict=False))
    except csv.Error as error:
        raise FileFaults([(reader.line_num, str(error))]) from None


def _dialect(text: str) -> type[csv.Dialect]:
    """Spreadsheets in Spanish separate cells by semicolons."""
    header = text.split("\n", 1)[0]
    return _Semicolons if header.count(";") > header.count(",") else csv.excel


class _Semicolons(csv.excel):
    delimiter = ";"


def _header(cells: list[str], columns: Collection[str] | None) -> list[str]:
    """The columns' names, with `number` under whichever name it came."""
    names = [cell.strip().lower() for cell in cells]
    names = ["number" if name in NUMBER_COLUMNS else name for name in names]
    if names.count("number") != 1:
        raise FileFaults([(1, gettext("one column has to be called “number”"))])
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None or "" in names:
        raise FileFaults([(1, gettext("every column needs a name of its own"))])
    known = {"number", *columns} if columns is not None else set(names)
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        values = {"name": repr(unknown), "columns": ", ".join(sorted(known))}
        raise FileFaults([(1, gettext("%(name)s is no column; columns are %(columns)s") % values)])
    return names
