"""What `make run` says when it is ready."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from config.environment import load
from config.launcher.banner import LOGIN_FILE, banner
from config.settings.env import Environment

KEYS = {
    "GROQ_API_KEY": "gsk_x",
    "AZURE_SPEECH_KEY": "k",
    "AZURE_SPEECH_REGION": "westeurope",
    "ELEVENLABS_API_KEY": "e",
    "OPENAI_AUDIO_API_KEY": "o",
}


def shown(tmp_path: Path, **environment: str) -> str:
    env, _, faults = load(Environment, environment, tmp_path / "none", production=False)
    assert faults == []
    person = {"role": "owner", "email": "owner@demo.example", "password": "p" * 12, "page": "/"}
    (tmp_path / LOGIN_FILE).write_text(json.dumps([person]))
    return banner("http://localhost:8000", env, tmp_path, 4.4)


def abilities(text: str) -> dict[tuple[str, str], tuple[str, str]]:
    """(language, verb) to (mark, the rest), with wrapped lines joined."""
    joined = re.sub(r"\n {20,}", " ", text)
    found: dict[tuple[str, str], tuple[str, str]] = {}
    language = ""
    for line in joined.splitlines():
        if match := re.match(r"  (\w*) +(hears|speaks|thinks) +([●○]) (.*)", line):
            language = match[1] or language
            found[language, match[2]] = (match[3], match[4])
    return found


def test_without_a_key_spanish_is_said_to_have_no_ears(tmp_path):
    found = abilities(shown(tmp_path))
    mark, why = found["Spanish", "hears"]
    assert mark == "○"
    assert why.startswith("nobody")
    assert "azure or groq or openai" in why
    assert "English only" in why
    assert found["English", "hears"][0] == "●"
    for language in ("Spanish", "English"):
        for verb in ("speaks", "thinks"):
            mark, who = found[language, verb]
            assert (mark, who.split()[0]) == ("●", "embedded")
    assert "GROQ_API_KEY is not set" in found["Spanish", "thinks"][1]


def test_what_is_used_only_on_request_stands_apart(tmp_path):
    text = shown(tmp_path)
    assert all("browser" not in rest for _, rest in abilities(text).values())
    assert re.search(r"Only if a profile asks for it:  browser", text)


def test_with_keys_the_best_is_named_first_and_the_rest_after_it(tmp_path):
    found = abilities(shown(tmp_path, **KEYS))
    assert found["Spanish", "hears"][0] == "●"
    assert found["Spanish", "hears"][1].startswith("azure")
    assert found["English", "thinks"][1].split() == ["groq", "as", "in", "Spanish"]
    assert "then groq, openai" in found["Spanish", "hears"][1]
    assert found["English", "hears"][1].endswith(", embedded")
    assert re.match(r"groq +openai/gpt-oss-120b; then embedded", found["Spanish", "thinks"][1])


@pytest.mark.parametrize("keys", [{}, KEYS], ids=["no key", "every key"])
def test_it_fits_a_terminal_and_shows_no_key(tmp_path, keys):
    text = shown(tmp_path, **keys)
    assert max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) <= 26
    assert "gsk_x" not in text
