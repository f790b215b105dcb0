"""Reading typed settings from the environment: the mechanism behind `settings/env.py`.

A settings class is a frozen dataclass whose fields are made by `variable(...)`. A value comes
from the process's environment, else from the `.env` file, else from the default; `NAME_FILE`
in place of `NAME` names a file that holds it. Every fault is found before any is reported.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Generic, TypeVar, cast
from urllib.parse import urlsplit

from dotenv.parser import parse_stream

T = TypeVar("T")
EnvironmentT = TypeVar("EnvironmentT")
FILE_SUFFIX = "_FILE"


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A type of value: what is expected, in words, and how text becomes it (or ValueError).

    `url`: the values are addresses, of which a part may be shown even where they are secret.
    """

    expects: str
    parse: Callable[[str], T]
    url: bool = False


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of the environment, as its documentation and the reader see it."""

    name: str
    kind: Kind[Any]
    default: str
    help: str
    group: str
    secret: bool
    required: bool

    def masked(self, text: str) -> str:
        """The value as it may be shown: of a secret only its length, of a URL no secret part."""
        if self.kind.url and "://" in text:
            return without_secrets(text)
        doubtful = self.secret or (self.kind.url and "@" in text)
        return hidden(text) if doubtful and text else text


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one variable; `text` is its value as it may be shown."""

    name: str
    text: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}{self.text}: {self.reason}"


class InvalidEnvironment(Exception):
    """Some variables are wrong or missing; the message lists all of them."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        count = "One setting is" if len(faults) == 1 else f"{len(faults)} settings are"
        super().__init__("\n  ".join([f"{count} wrong:", *map(str, faults)]))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from (`default`, `environment`, `.env`, or a file) and its text."""

    source: str
    text: str


def variable(
    kind: Kind[T], *, default: str = "", group: str, help: str,  # noqa: A002 - argparse's word
    secret: bool = False, required: bool = False,
) -> T:  # fmt: skip
    """A field of a settings class. An empty default of a text means "not set".

    `required` is about production only; a `secret` is never shown.
    """
    facts = {
        "kind": kind, "default": default, "group": group, "help": help, "secret": secret,
        "required": required,
    }  # fmt: skip
    return cast(T, dataclasses.field(metadata=facts))


def variables(environment: type[Any]) -> list[Variable]:
    """The variables of a settings class, in the order of its text."""
    return [Variable(field.name, **field.metadata) for field in dataclasses.fields(environment)]


def load(
    environment: type[EnvironmentT],
    process: Mapping[str, str],
    dotenv: Path,
    *,
    production: bool,
) -> tuple[EnvironmentT, dict[str, Origin], list[Fault]]:
    """Read every variable; one with a fault has its default, so that the rest can be judged."""
    known = variables(environment)
    faults: list[Fault] = []
    written = read_dotenv(dotenv, {item.name for item in known}, faults)
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for item in known:
        try:
            origins[item.name] = origin = _find(item, process, written)
            values[item.name] = _parse(item, origin, production)
        except ValueError as error:
            faults.append(Fault(item.name, _shown(item, origins.get(item.name)), str(error)))
            values[item.name] = item.kind.parse(item.default) if item.default else ""
    return environment(**values), origins, faults


def read_dotenv(path: Path, known: set[str], faults: list[Fault]) -> dict[str, str]:
    """The assignments of a `.env` file; a line that is none, or a mistyped name, is a fault."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        faults.append(Fault(".env", f" ({path})", f"cannot be read: {error}"))
        return {}
    found: dict[str, str] = {}
    for binding in parse_stream(StringIO(text)):
        if binding.error or (binding.key and binding.value is None):
            where = f" line {binding.original.line}"
            faults.append(Fault(".env", where, "is not of the form NAME=value"))
        elif binding.key:
            found[binding.key] = binding.value or ""
    faults.extend(_misspelt(found, known))
    return found


def _misspelt(found: Mapping[str, str], known: set[str]) -> Iterator[Fault]:
    for name in found:
        base = name.removesuffix(FILE_SUFFIX)
        if name in known or base in known:
            continue
        if near := difflib.get_close_matches(base, known, n=1, cutoff=0.85):
            yield Fault(name, " (.env)", f"there is no such setting; did you mean {near[0]}?")


def _find(item: Variable, process: Mapping[str, str], written: Mapping[str, str]) -> Origin:
    """The first source that has the variable. Raises ValueError."""
    for source, mapping in (("environment", process), (".env", written)):
        text = mapping.get(item.name, "").strip()
        file = mapping.get(item.name + FILE_SUFFIX, "").strip()
        if text and file:
            raise ValueError(f"set either {item.name} or {item.name}{FILE_SUFFIX}, not both")
        if text:
            return Origin(source, text)
        if file:
            return Origin(f"file {file}", _read_secret(item, file))
    return Origin("default", item.default)


def _read_secret(item: Variable, file: str) -> str:
    # What is no path may be the secret itself, given under the wrong name.
    shown = file if file.startswith(("/", "./", "../")) or not item.secret else hidden(file)
    try:
        text = Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        why = error.strerror
    except UnicodeDecodeError:
        why = "it is no text in UTF-8"
    else:
        if text:
            return text
        raise ValueError(f"{item.name}{FILE_SUFFIX}={shown} is empty")
    raise ValueError(f"{item.name}{FILE_SUFFIX}={shown} cannot be read ({why})")


def _parse(item: Variable, origin: Origin, production: bool) -> Any:
    if production and item.required and origin.source == "default":
        raise ValueError(f"is required in production: {item.kind.expects}")
    if not origin.text:
        return ""
    try:
        return item.kind.parse(origin.text)
    except ValueError:
        raise ValueError(f"expected {item.kind.expects}") from None


def _shown(item: Variable, origin: Origin | None) -> str:
    if origin is None or not origin.text:
        return ""
    where = "" if origin.source == "environment" else f" ({origin.source})"
    return f"={item.masked(origin.text)}{where}"


def hidden(text: str) -> str:
    """What is shown of a secret: how long it is."""
    return f"*** ({len(text)} characters)"


def without_secrets(url: str) -> str:
    """A URL with its password, a name that stands alone, and all values of its query hidden.

    What cannot be taken apart for certain is hidden whole: a password that was not escaped may
    have spilt into any part.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError where it is no number
    except ValueError:
        return hidden(url)
    if not parts.scheme or "@" in parts.path + parts.query + parts.fragment:
        return hidden(url)
    user, _at, host = parts.netloc.rpartition("@")
    name, colon, _password = user.partition(":")
    login = f"{name}:***@" if colon else "***@" if user else ""
    query = "?" + "&".join(map(_without_value, parts.query.split("&"))) if parts.query else ""
    fragment = "#***" if parts.fragment else ""
    return f"{parts.scheme}://{login}{host}{parts.path}{query}{fragment}"


def _without_value(parameter: str) -> str:
    name, equals, _value = parameter.partition("=")
    return f"{name}=***" if equals else "***"


def process_environment() -> Mapping[str, str]:
    """The environment of this process; the one place that reads it for settings."""
    return os.environ
