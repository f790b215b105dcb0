"""The pages hold together: what they link to and what they tell to type exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from calls.voice.end_reasons import EndReason
from config.environment import variables
from config.settings.env import Environment

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_inside_the_project_leads_somewhere(page):
    targets = [match["target"] for match in LINK.finditer(page.read_text(encoding="utf-8"))]
    inside = [target for target in targets if "://" not in target]
    missing = [target for target in inside if not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_make_target_and_variable_that_is_named_exists(page):
    text = page.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)", text)) <= targets
    known = {item.name for item in variables(Environment)} | {"DJANGO_SETTINGS_MODULE"}
    named = set(re.findall(r"`([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)(?:_FILE)?`", text))
    assert named - known <= {"NAME_FILE"}


@pytest.mark.parametrize("name", ["README.md", "README.es.md"])
def test_both_readmes_name_the_two_commands_and_every_vendors_key(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for needed in ("make run", "make test", "GROQ_API_KEY", "AZURE_SPEECH_KEY",
                   "ELEVENLABS_API_KEY", "OPENAI_AUDIO_BASE_URL", "TWILIO_AUTH_TOKEN"):  # fmt: skip
        assert needed in text


def test_the_two_readmes_say_the_same_in_the_same_order():
    shapes = []
    for name in ("README.md", "README.es.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        shapes.append(
            (re.findall(r"^(#+) ", text, re.MULTILINE), re.findall(r"\]\((docs/[^)]*)\)", text))
        )
    assert shapes[0] == shapes[1]


def test_every_reason_why_a_call_may_end_is_listed():
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    table = page.partition("### How a call may end")[2].partition("\n## ")[0]
    listed = re.findall(r"`([a-z_]+)`", table)
    assert sorted(listed) == sorted([*EndReason, "end_reason"])
