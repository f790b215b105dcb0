"""The Spanish catalogue holds every text of the source, whole, and is compiled."""

from __future__ import annotations

import gettext
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path("locale/es/LC_MESSAGES")
CATALOGUE = ROOT / FOLDER / "django.po"
COMPILED = ROOT / FOLDER / "django.mo"
SOURCES = ("agents", "calls", "config", "dashboard", "tenants", "templates")

# What stays as it is in any language: placeholders, tags, variables, code in backticks, addresses.
FIXED = re.compile(r"%\(\w+\)[sd]|%[sd]|<[^>]+>|\b[A-Z]+(?:_[A-Z]+)+\b|https?://|\+5255\d+")


def needs(tool: str) -> pytest.MarkDecorator:
    absent = shutil.which(tool) is None and not os.environ.get("CI")
    return pytest.mark.skipif(absent, reason=f"gettext's {tool} is not installed")


def catalogue(path: Path) -> dict[object, str]:
    with path.open("rb") as file:
        # The whole mapping, plurals and contexts included, has no public name.
        found: dict[object, str] = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    return {key: text for key, text in found.items() if key}


def compiled(source: Path, into: Path) -> Path:
    subprocess.run(["msgfmt", "--check-format", "-o", into, source], check=True)
    return into


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalogue as makemessages would leave it today, in a copy of the source."""
    copy = tmp_path_factory.mktemp("source")
    for name in (*SOURCES, "locale"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "django", "makemessages", "--locale=es", "--no-location"],
        cwd=copy, env={k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"},
        check=True, capture_output=True,
    )  # fmt: skip
    return copy / FOLDER / "django.po"


@needs("xgettext")
@pytest.mark.parametrize("kind", ["untranslated", "only-fuzzy", "only-obsolete"])
def test_the_catalogue_holds_the_texts_of_the_source_and_no_others(fresh: Path, kind: str) -> None:
    left = subprocess.run(
        ["msgattrib", f"--{kind}", "--no-wrap", fresh], check=True, capture_output=True, text=True
    )
    assert re.findall(r'^(?:#~ )?msgid "(.+)"$', left.stdout, re.MULTILINE) == []


@needs("msgfmt")
def test_what_users_get_is_compiled_from_the_catalogue(tmp_path: Path) -> None:
    assert catalogue(COMPILED) == catalogue(compiled(CATALOGUE, tmp_path / "django.mo"))


def test_every_translation_keeps_placeholders_and_names() -> None:
    assert len(catalogue(COMPILED)) > 400
    for key, text in catalogue(COMPILED).items():
        english = (key[0] if isinstance(key, tuple) else str(key)).rpartition("\x04")[2]
        assert sorted(FIXED.findall(text)) == sorted(FIXED.findall(english)), english


def test_every_translation_ends_as_its_text_does() -> None:
    for key, text in catalogue(COMPILED).items():
        english = key[0] if isinstance(key, tuple) else str(key)
        marks = [end if (end := each[-1]) in ".:?!…" else "" for each in (english, text)]
        assert marks[0] == marks[1] or english.endswith("..."), english
