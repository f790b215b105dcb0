"""What is written from the table of settings is in step with it."""

from __future__ import annotations

import re
from pathlib import Path

from django.core.management import call_command
from dotenv import dotenv_values

from config import reference
from config.environment import Origin, variables
from config.settings.env import ENV, ORIGINS, Environment

ROOT = Path(__file__).resolve().parents[2]
AGAIN = "run: .venv/bin/python manage.py show_config --write-docs"


def test_the_example_file_is_in_step():
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == reference.example(), AGAIN


def test_the_table_in_the_documentation_is_in_step():
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == reference.with_table(page), AGAIN


def test_the_example_file_sets_nothing_that_is_not_meant_to_be_filled_in():
    assert set(dotenv_values(ROOT / ".env.example")) == set(reference.TO_FILL_IN)


def test_every_variable_says_what_it_is_for():
    for item in variables(Environment):
        assert item.help.endswith("."), item.name
        assert item.kind.expects, item.name
        if item.default:
            item.kind.parse(item.default)


def test_every_key_token_password_and_url_with_one_is_a_secret():
    for item in variables(Environment):
        sensitive = re.search(
            r"_KEYS?$|_SECRET$|TOKEN|PASSWORD|DATABASE.*_URL|REDIS_URL|EMAIL_URL", item.name
        )
        assert item.secret == bool(sensitive), item.name


def test_the_effective_configuration_masks_secrets_and_names_origins():
    origins = ORIGINS | {
        "GROQ_API_KEY": Origin(".env", "gsk_very_secret"),
        "DATABASE_URL": Origin("environment", "postgresql://app:s3cr3t@db/andrea"),
    }
    text = reference.effective(origins)
    assert "gsk_very" not in text
    assert "s3cr3t" not in text
    assert re.search(r"GROQ_API_KEY +\*\*\* \(15 characters\)  \[\.env\]", text)
    assert "postgresql://app:***@db/andrea  [environment]" in text
    assert re.search(r"AZURE_SPEECH_REGION +\(not set\)  \[default\]", text)


def test_the_command_prints_what_is_in_force(capsys):
    call_command("show_config")
    assert re.search(rf"^LOG_LEVEL +{ENV.LOG_LEVEL}  \[", capsys.readouterr().out, re.MULTILINE)


def test_the_command_writes_the_files_that_it_says(tmp_path, monkeypatch, capsys):
    from config.management.commands import show_config

    page = tmp_path / "configuration.md"
    page.write_text(f"before\n{reference.BEGIN}\nold\n{reference.END}\nafter\n")
    monkeypatch.setattr(show_config, "BASE_DIR", tmp_path)
    monkeypatch.setattr(show_config, "CONFIGURATION_PAGE", page)
    monkeypatch.setattr(show_config, "EXAMPLE", tmp_path / ".env.example")
    call_command("show_config", write_docs=True)
    assert page.read_text().startswith("before\n")
    assert "`GROQ_API_KEY` 🔒" in page.read_text()
    assert (tmp_path / ".env.example").read_text() == reference.example()
