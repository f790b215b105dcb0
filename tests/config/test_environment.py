from __future__ import annotations

from pathlib import Path

import pytest

from config.environment import Fault, load, variables, without_secrets
from config.settings.env import Environment, conflicts

GOOD = {
    "PUBLIC_BASE_URL": "https://andrea.example.com",
    "DATABASE_URL": "postgresql://app:pw@db/andrea",
    "REDIS_URL": "redis://redis:6379/0",
    "SECRET_KEY": "qwertyuiopasdfghjklzxcvbnm0123456789QWERTYUIOPASDFGH",
    "SECRETS_KEYS": "c2VhbGluZy1rZXktb2YtdGhlLXRlc3RzLTMyLWJ5dGU=",
    "EMAIL_URL": "smtp://mail.example.com",
}


def read(
    process: dict[str, str], tmp_path: Path, dotenv: str = "", *, production: bool = False
) -> tuple[Environment, dict[str, str], list[Fault]]:
    path = tmp_path / ".env"
    if dotenv:
        path.write_text(dotenv)
    env, origins, faults = load(Environment, process, path, production=production)
    faults += conflicts(env, production=production)
    return env, {name: origin.source for name, origin in origins.items()}, faults


def test_nothing_set_gives_defaults_of_the_right_types(tmp_path):
    env, origins, faults = read({}, tmp_path)
    assert faults == []
    assert (env.PORT, env.DEBUG, env.ALLOWED_HOSTS, env.GROQ_API_KEY) == (8000, False, "", "")
    assert env.DATA_DIR.is_absolute()
    assert set(origins.values()) == {"default"}


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path):
    text = "PORT=9000\nexport LOG_LEVEL='debug'\n# comment\nHOST=10.0.0.1\n"
    env, origins, faults = read({"PORT": "9001"}, tmp_path, text)
    assert faults == []
    assert (env.PORT, env.LOG_LEVEL, env.HOST) == (9001, "DEBUG", "10.0.0.1")
    assert (origins["PORT"], origins["LOG_LEVEL"]) == ("environment", ".env")


def test_an_empty_value_is_as_good_as_none(tmp_path):
    env, _, faults = read({"PORT": "", "GROQ_BASE_URL": " "}, tmp_path, "PORT=\n")
    assert faults == []
    assert (env.PORT, env.GROQ_BASE_URL) == (8000, "https://api.groq.com")


def test_every_fault_is_found_at_once_by_name(tmp_path):
    _, _, faults = read(
        {
            "PORT": "80x",
            "DEBUG": "perhaps",
            "REDIS_URL": "http://redis",
            "TWILIO_AUTH_TOKEN": "secret",
            "AZURE_SPEECH_KEY": "k",
            "LOG_LEVEL": "LOUD",
        },
        tmp_path,
        "DRAIN_SECONDS=-1\nthis is no assignment\nGROQ_API_KYE=abc\n",
    )
    assert {fault.name for fault in faults} == {
        "PORT", "DEBUG", "REDIS_URL", "TWILIO_AUTH_TOKEN", "AZURE_SPEECH_REGION", "LOG_LEVEL",
        "DRAIN_SECONDS", ".env", "GROQ_API_KYE",
    }  # fmt: skip
    said = {fault.name: str(fault) for fault in faults}
    assert said["PORT"] == "PORT=80x: expected a port number from 1 to 65535"
    assert said["DRAIN_SECONDS"] == "DRAIN_SECONDS=-1 (.env): expected seconds from 0 to 7200"
    assert said[".env"] == ".env line 2: is not of the form NAME=value"
    assert "did you mean GROQ_API_KEY?" in said["GROQ_API_KYE"]


def test_a_secret_is_never_part_of_a_fault(tmp_path):
    process = {"TWILIO_AUTH_TOKEN": "hunter2hunter2", "DATABASE_URL": "mysql://u:hunter2@db/x"}
    _, _, faults = read(process, tmp_path)
    text = "\n".join(map(str, faults))
    assert len(faults) == 2
    assert "hunter2" not in text
    assert "TWILIO_AUTH_TOKEN=*** (14 characters)" in text


def test_a_secret_may_come_from_a_file(tmp_path):
    secret = tmp_path / "groq"
    secret.write_text("gsk_from_a_file\n")
    env, origins, faults = read({"GROQ_API_KEY_FILE": str(secret)}, tmp_path)
    assert faults == []
    assert env.GROQ_API_KEY == "gsk_from_a_file"
    assert origins["GROQ_API_KEY"] == f"file {secret}"


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ({"GROQ_API_KEY": "x"}, "not both"),
        ({"GROQ_API_KEY_FILE": "/nowhere/at/all"}, "cannot be read"),
    ],
)
def test_a_secret_file_that_cannot_serve_is_a_fault(tmp_path, extra, reason):
    _, _, faults = read({"GROQ_API_KEY_FILE": __file__, **extra}, tmp_path)
    assert [fault.name for fault in faults] == ["GROQ_API_KEY"]
    assert reason in faults[0].reason


def test_an_empty_secret_file_is_a_fault(tmp_path):
    empty = tmp_path / "empty"
    empty.touch()
    _, _, faults = read({"SECRET_KEY_FILE": str(empty)}, tmp_path)
    assert [(fault.name, fault.reason) for fault in faults] == [
        ("SECRET_KEY", f"SECRET_KEY_FILE={empty} is empty")
    ]


def test_production_accepts_what_is_fit_for_it(tmp_path):
    assert read(GOOD, tmp_path, production=True)[2] == []


def test_production_names_everything_that_is_missing(tmp_path):
    _, _, faults = read({}, tmp_path, production=True)
    required = {"PUBLIC_BASE_URL", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "SECRETS_KEYS"}
    required |= {"EMAIL_URL"}
    assert {fault.name for fault in faults} == required


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "true"),
        ("SECRET_KEY", "short"),
        ("SECRET_KEY", "a" * 80),
        ("SECRETS_KEYS", "too-short"),
        ("ALLOWED_HOSTS", "good.example,*"),
        ("ALLOWED_HOSTS", "*.example.com"),
        ("PUBLIC_BASE_URL", "http://andrea.example.com"),
        ("EMAIL_URL", "console://localhost"),
    ],
)
def test_production_refuses_what_is_unfit_for_it(tmp_path, name, value):
    _, _, faults = read({**GOOD, name: value}, tmp_path, production=True)
    assert [fault.name for fault in faults] == [name]


def test_a_key_without_its_companion_is_a_fault(tmp_path):
    process = {"TWILIO_ACCOUNT_SID": "AC" + "0" * 32}
    assert [fault.name for fault in read(process, tmp_path)[2]] == ["TWILIO_AUTH_TOKEN"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://app:p%40ss@db:5432/andrea", "postgresql://app:***@db:5432/andrea"),
        ("postgresql://u@h/db?password=hunter2", "postgresql://***@h/db?password=***"),
        ("redis://x:1/0?password=hunter2&db=1", "redis://x:1/0?password=***&db=***"),
        ("unix:///run/redis.sock?hunter2", "unix:///run/redis.sock?***"),
        ("redis://db/0#hunter2", "redis://db/0#***"),
        ("smtp://me@x.org:hunter2@mail:587", "smtp://me@x.org:***@mail:587"),
        ("https://hunter2@api.example.com", "https://***@api.example.com"),
        ("redis://db/0", "redis://db/0"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url, shown):
    assert without_secrets(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "not [a url://[hunter2",
        "postgresql://u:hunter2/x@h/db",
        "postgresql://u:1/hunter2@h/db",
        "postgresql://u:1?hunter2@h/db",
        "postgresql://u:1#hunter2@h/db",
    ],
)
def test_of_a_url_that_cannot_be_taken_apart_nothing_is_shown(url):
    assert without_secrets(url) == f"*** ({len(url)} characters)"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SECRET_KEY", "abc://hunter2"),
        ("GROQ_API_KEY", "https://hunter2"),
        ("DATABASE_URL", "postgresql:/u:hunter2@h/db"),
        ("DATABASE_URL", "hunter2"),
        ("DATABASE_URL", "postgresql://u@h/db?password=hunter2"),
        ("REDIS_URL", "redis://x:1/0?password=hunter2"),
        ("PUBLIC_BASE_URL", "https://u:hunter2@example.com"),
    ],
)
def test_a_value_is_shown_without_what_is_secret_in_it(name, text):
    (item,) = (item for item in variables(Environment) if item.name == name)
    assert "hunter2" not in item.masked(text)


@pytest.mark.parametrize(
    "process",
    [
        {"DATABASE_URL": "mysql://u@h/db?password=hunter2"},
        {"DATABASE_URL": "mysql:/u:hunter2@h/db"},
        {"REDIS_URL": "http://x:1/0?password=hunter2"},
        {"SECRET_KEY": "abc://hunter2\nhunter2"},
        {"GROQ_API_KEY_FILE": "hunter2"},
        {"PUBLIC_BASE_URL": "http://u:hunter2@example.com"},
    ],
)
def test_no_fault_says_a_secret(process, tmp_path):
    _, _, faults = read({**GOOD, **process}, tmp_path, production=True)
    assert faults
    assert "hunter2" not in "\n".join(map(str, faults))
