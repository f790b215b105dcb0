"""The composition, the image and the proxy, as far as they can be judged without an engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from config.celery import app
from config.environment import load, variables
from config.settings.env import COMPOSE, HERE, Environment

ROOT = Path(__file__).resolve().parents[2]
FILLED_IN = {
    "PUBLIC_BASE_URL": "https://andrea.example.com",
    "SECRET_KEY": "qwertyuiopasdfghjklzxcvbnm0123456789QWERTYUIOPASDFGH",
    "SECRETS_KEYS": "c2VhbGluZy1rZXktb2YtdGhlLXRlc3RzLTMyLWJ5dGU=",
    "EMAIL_URL": "smtp://mail.example.com",
    "POSTGRES_PASSWORD": "superuser-pw",
    "POSTGRES_OWNER_PASSWORD": "owner-pw",
    "POSTGRES_APP_PASSWORD": "app-pw",
}
OURS = ("web", "media", "worker", "files", "beat", "migrate")


def interpolated(value: Any, filled_in: dict[str, str] = FILLED_IN) -> Any:
    """What compose makes of `${NAME}`, `${NAME:-default}` and `${NAME:?why}`."""
    if isinstance(value, dict):
        return {key: interpolated(item, filled_in) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolated(item, filled_in) for item in value]
    if not isinstance(value, str):
        return value

    def substitute(match: re.Match[str]) -> str:
        found = filled_in.get(match["name"], "")
        assert found or match["operator"] != ":?", f"{match['name']} has to be filled in"
        return found or match["rest"] or ""

    pattern = r"\$\{(?P<name>\w+)(?:(?P<operator>:[-?])(?P<rest>[^}]*))?\}"
    return re.sub(pattern, substitute, value)


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    return interpolated(yaml.safe_load(text))["services"]


def test_every_part_is_there_and_watched(services):
    assert set(services) == {"proxy", *OURS, "postgres", "redis"}
    for name, service in services.items():
        assert name == "migrate" or "test" in service.get("healthcheck", {"test": "the image's"})
        assert service["restart"] in ("unless-stopped", "on-failure:3")


def test_only_the_proxy_is_reached_from_outside(services):
    published = {name for name, service in services.items() if "ports" in service}
    assert published == {"proxy"}


def test_web_runs_on_daphne_and_media_on_uvicorn(services):
    servers = {
        name: services[name]["command"][services[name]["command"].index("--server") + 1]
        for name in ("web", "media")
    }
    assert servers == {"web": "daphne", "media": "uvicorn"}


def test_everything_waits_for_the_migrations(services):
    for name in ("web", "media", "worker", "files", "beat"):
        waits = services[name]["depends_on"]
        assert waits["migrate"]["condition"] == "service_completed_successfully"
        assert waits["postgres"]["condition"] == "service_healthy"


def test_only_the_migration_knows_the_owner_and_nobody_of_ours_the_superuser(services):
    for name in OURS:
        text = str(services[name]["environment"])
        assert FILLED_IN["POSTGRES_PASSWORD"] not in text
        assert (FILLED_IN["POSTGRES_OWNER_PASSWORD"] in text) == (name == "migrate")
        assert services[name]["environment"]["DATABASE_URL"].startswith("postgresql://andrea_app:")
        assert services[name]["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("name", OURS)
def test_the_settings_of_each_container_pass_productions_checks(services, name, tmp_path):
    given = {key: str(value) for key, value in services[name]["environment"].items()}
    _, _, faults = load(Environment, given, tmp_path / "none", production=True)
    assert faults == []


def test_every_setting_can_be_given_in_the_env_file(services):
    theirs = {"DATABASE_OWNER_URL", "DEBUG"}  # the migration's alone; refused in production
    wanted = {v.name for v in variables(Environment) if v.group not in (HERE, COMPOSE)} - theirs
    assert wanted <= set(services["web"]["environment"])


def test_live_calls_have_time_to_finish_before_the_container_is_killed(services):
    drain = next(v.default for v in variables(Environment) if v.name == "DRAIN_SECONDS")
    for name in ("web", "media"):
        minutes = int(re.fullmatch(r"(\d+)m", services[name]["stop_grace_period"])[1])
        assert minutes * 60 > int(drain) + 30


def test_each_queue_has_its_worker_and_each_task_a_queue(services):
    served = [
        services[name]["command"][services[name]["command"].index("--queues") + 1]
        for name in ("worker", "files")
    ]
    assert set(served) == set(settings.CELERY_TASK_QUEUES)
    for task, queue in (("fetch_recording", "files"), ("fetch_message_file", "files"),
                        ("send_command", "celery")):  # fmt: skip
        assert app.amqp.router.route({}, f"calls.tasks.{task}")["queue"].name == queue
    assert {queue.routing_key for queue in app.amqp.queues.values()} == set(served)


def test_the_proxy_sends_media_sockets_to_the_media_tier():
    text = (ROOT / "deploy" / "Caddyfile").read_text()
    block = re.search(r"handle /api/v1/ws/\* \{(.*?)\n\t\}", text, re.DOTALL)
    assert block is not None
    assert "reverse_proxy media:8000" in block[1]


def test_the_init_script_makes_two_weak_roles():
    text = (ROOT / "deploy" / "postgres-init.sh").read_text()
    roles = re.findall(r"CREATE ROLE (\w+) LOGIN NOSUPERUSER NOBYPASSRLS", text)
    assert roles == ["andrea_owner", "andrea_app"]
    assert "CREATE DATABASE andrea OWNER andrea_owner" in text


def test_the_image_runs_as_nobody_in_particular_with_a_health_check():
    stages = (ROOT / "Dockerfile").read_text().split("\nFROM ")
    last = stages[-1]
    assert len(stages) == 3, "a comment, the build and the result"
    assert re.search(r"^USER andrea$", last, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", last, re.MULTILINE)
    assert "pip install" not in last


def test_nothing_private_is_copied_into_the_image():
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".env", ".data", ".git", ".venv", "secrets"} <= set(ignored)


@pytest.fixture(scope="module")
def with_secrets(services) -> dict[str, Any]:
    """The services as compose merges them with the override, filled in with nothing secret."""
    without = {"PUBLIC_BASE_URL": FILLED_IN["PUBLIC_BASE_URL"]}
    base, override = (
        interpolated(yaml.safe_load((ROOT / name).read_text(encoding="utf-8")), without)
        for name in ("docker-compose.yml", "deploy/compose.secrets.yml")
    )
    for name, more in override["services"].items():
        assert set(more) == {"environment", "secrets"}
        base["services"][name]["environment"].update(more["environment"])
        base["services"][name]["secrets"] = more["secrets"]
        assert set(more["secrets"]) <= set(override["secrets"])
    return base["services"]


@pytest.mark.parametrize("name", OURS)
def test_every_secret_may_come_from_a_file(with_secrets, name, tmp_path):
    contents = {
        "secret_key": FILLED_IN["SECRET_KEY"],
        "secrets_keys": FILLED_IN["SECRETS_KEYS"],
        "email_url": FILLED_IN["EMAIL_URL"],
        "database_url": "postgresql://andrea_app:app-pw@postgres:5432/andrea",
        "database_owner_url": "postgresql://andrea_owner:owner-pw@postgres:5432/andrea",
    }
    for secret in with_secrets[name]["secrets"]:
        (tmp_path / secret).write_text(contents[secret] + "\n")
    given = {
        key: str(value).replace("/run/secrets", str(tmp_path))
        for key, value in with_secrets[name]["environment"].items()
    }
    env, _, faults = load(Environment, given, tmp_path / "none", production=True)
    assert faults == []
    assert contents["database_url"] == env.DATABASE_URL
    assert (env.DATABASE_OWNER_URL != "") == (name == "migrate")


@pytest.mark.parametrize("name", OURS)
def test_without_its_secrets_a_container_refuses_to_start(name, tmp_path):
    composition = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    without = {"PUBLIC_BASE_URL": FILLED_IN["PUBLIC_BASE_URL"]}
    given = interpolated(composition["services"][name]["environment"], without)
    given = {key: str(value) for key, value in given.items()}
    _, _, faults = load(Environment, given, tmp_path / "none", production=True)
    assert {"SECRET_KEY", "SECRETS_KEYS", "EMAIL_URL"} <= {fault.name for fault in faults}


@pytest.mark.parametrize("from_files", [False, True])
def test_the_init_script_takes_passwords_from_either_place(tmp_path, from_files):
    psql = tmp_path / "psql"
    psql.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    psql.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "POSTGRES_USER": "postgres"}
    for name in ("OWNER", "APP"):
        variable = f"POSTGRES_{name}_PASSWORD"
        if from_files:
            (tmp_path / name).write_text(FILLED_IN[variable] + "\n")
            environment |= {variable: "", f"{variable}_FILE": str(tmp_path / name)}
        else:
            environment[variable] = FILLED_IN[variable]
    result = _init(environment)
    assert result.returncode == 0, result.stderr
    assert {"owner_password=owner-pw", "app_password=app-pw"} <= set(result.stdout.splitlines())


def test_the_init_script_makes_no_role_without_a_password(tmp_path):
    psql = tmp_path / "psql"
    psql.write_text("#!/bin/sh\necho reached\n")
    psql.chmod(0o755)
    given = {"PATH": f"{tmp_path}:/usr/bin:/bin", "POSTGRES_USER": "u"}
    result = _init({**given, "POSTGRES_OWNER_PASSWORD": "owner-pw", "POSTGRES_APP_PASSWORD": ""})
    assert result.returncode != 0
    assert "POSTGRES_APP_PASSWORD has to be set" in result.stderr
    assert "reached" not in result.stdout


def _init(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(ROOT / "deploy" / "postgres-init.sh")],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(("minutes", "healthy"), [(0, True), (4, False), (None, False)])
def test_a_beat_that_hangs_is_not_healthy(services, tmp_path, minutes, healthy):
    if minutes is not None:
        schedule = tmp_path / "beat-schedule.db"
        schedule.touch()
        written = time.time() - minutes * 60
        os.utime(schedule, (written, written))
    kind, probe = services["beat"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    assert "/tmp/beat-schedule" in services["beat"]["command"]
    probe = probe.replace("$$", "$").replace("/tmp", str(tmp_path))
    assert (subprocess.run(["sh", "-c", probe], check=False).returncode == 0) is healthy


def _has_compose() -> bool:
    if shutil.which("docker") is None:
        return False
    command = ["docker", "compose", "version"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _has_compose(), reason="docker compose is not installed")
@pytest.mark.parametrize("files", [[], ["docker-compose.yml", "deploy/compose.secrets.yml"]])
def test_the_composition_is_valid_for_compose_itself(files):
    chosen = [word for name in files for word in ("--file", name)]
    result = subprocess.run(
        ["docker", "compose", *chosen, "--env-file", "/dev/null", "config", "--quiet"],
        cwd=ROOT, env={"PATH": "/usr/bin:/usr/local/bin:/bin", **FILLED_IN},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
