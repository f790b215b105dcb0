from __future__ import annotations

import logging
import subprocess
import sys

import pytest
from django.db import OperationalError

from calls.line.live import live
from config import health
from config.launcher.preparing import NOTE, preparing

SECRET = "gsk_" + "aB3dE5gH7jK9" * 4


@pytest.fixture
def findings(client, db):
    """Ask /readyz; return its status and what each check found."""

    def ask():
        answer = client.get("/readyz")
        return answer.status_code, answer.json()["checks"]

    return ask


def test_alive_asks_nobody(client):
    answer = client.get("/healthz")  # without the `db` fixture a query would be an error
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert "no-store" in answer["Cache-Control"]


def test_ready_when_everything_is_there(findings):
    status, checks = findings()
    assert status == 200
    assert set(checks) == {
        "database", "redis", "migrations", "preparation", "providers", "calls",
    }  # fmt: skip
    assert all(check["ok"] for check in checks.values())
    assert checks["database"]["detail"].startswith("PostgreSQL ")
    assert "embedded" in checks["providers"]["detail"]


def test_it_is_not_ready_while_the_launcher_fills_the_database(findings, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    with preparing(tmp_path):
        status, checks = findings()
    assert status == 503
    assert checks["preparation"]["detail"].startswith("the launcher is still migrating and seeding")
    assert findings()[0] == 200


def test_waiting_for_the_launcher_is_no_error_in_the_log(findings, settings, tmp_path, caplog):
    settings.DATA_DIR = tmp_path
    with preparing(tmp_path):
        assert findings()[0] == 503
    assert [record for record in caplog.records if record.name == "django.request"] == []


def test_what_else_is_missing_is_an_error_in_the_log(findings, monkeypatch, caplog):
    monkeypatch.setattr(live, "draining", True)
    assert findings()[0] == 503
    assert [record.levelname for record in caplog.records if record.name == "django.request"] == [
        "ERROR"
    ]


@pytest.mark.parametrize("note", ["", "no number", "GONE"])
def test_what_a_killed_launcher_left_behind_stops_nobody(findings, settings, tmp_path, note):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / NOTE).write_text(note.replace("GONE", str(gone.pid)))
    settings.DATA_DIR = tmp_path
    assert findings()[0] == 200


def test_a_dead_database_makes_it_unready_and_tells_strangers_nothing(
    findings, monkeypatch, caplog
):
    def fail() -> str:
        raise OperationalError(f"connection refused, password {SECRET}")

    monkeypatch.setattr(health, "_database", fail)
    with caplog.at_level(logging.ERROR):
        status, checks = findings()
    assert status == 503
    assert checks["database"] | {"took": 0} == {
        "ok": False, "detail": "cannot be reached; the log says why", "took": 0,
    }  # fmt: skip
    assert checks["redis"]["ok"]
    assert "connection refused" in caplog.text


def test_pending_migrations_make_it_unready_until_they_are_applied(findings, monkeypatch):
    monkeypatch.setattr(health, "_migrated", False)
    monkeypatch.setattr(
        "django.db.migrations.executor.MigrationExecutor.migration_plan", lambda *_: ["one"]
    )
    status, checks = findings()
    assert status == 503
    assert checks["migrations"]["detail"] == "migrations are pending; run manage.py migrate"


def test_a_draining_process_takes_itself_out_of_the_balancer(findings, monkeypatch):
    monkeypatch.setattr(live, "draining", True)
    status, checks = findings()
    assert status == 503
    assert not checks["calls"]["ok"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_only_read(client, db, path):
    assert client.post(path).status_code == 405
