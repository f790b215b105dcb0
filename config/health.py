"""Is this process alive, and may it be given work? For probes, proxies and `GET /health`."""

from __future__ import annotations

import logging
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache

import redis
from django.conf import settings
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from agents.services.mind import MindCredentials
from calls.line.live import live
from calls.line.presence import Status, presence
from calls.providers.health import Figures, summed
from calls.providers.registry import describe
from config.launcher.preparing import is_preparing
from config.settings.env import BASE_DIR

log = logging.getLogger(__name__)
ANSWER_SECONDS = 2.0
VERSION: str = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found and how long it took in ms."""

    ok: bool
    detail: str
    took: float


class Unfit(Exception):
    """A check does not hold; the message is safe to show to anybody."""


@require_safe
@never_cache
async def healthz(_request: HttpRequest) -> JsonResponse:
    """Alive: the event loop turns. Asks nobody else, so that a dead database kills no server."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(_request: HttpRequest) -> JsonResponse:
    """Ready for work: 200, or 503 with what is missing."""
    findings = examine()
    missing = {name for name, finding in findings.items() if not finding.ok}
    body = {
        "status": "not ready" if missing else "ready",
        "checks": {name: asdict(finding) for name, finding in findings.items()},
    }
    response = JsonResponse(body, status=503 if missing else 200)
    if missing == {"preparation"}:  # every first start passes through it: no error for the log
        setattr(response, "_has_been_logged", True)  # noqa: B010 - Django's mark, in no stub
    return response


@require_safe
@never_cache
def health(_request: HttpRequest) -> JsonResponse:
    """How the calls are: here, in every process and in all. 503 when this one is not well."""
    findings = examine()
    snapshot = live.snapshot()
    processes = [presence.status(), *presence.others]
    well = findings["database"].ok and findings["redis"].ok and findings["migrations"].ok
    body = {
        "status": "ok" if well else "degraded",
        "version": VERSION,
        "database": asdict(findings["database"]),
        "redis": asdict(findings["redis"]),
        "live_calls": sum(each.live_calls for each in processes),
        "capacity": sum(each.capacity for each in processes if each.takes_calls),
        "accepting_calls": presence.accepting(),
        "loop_lag_p99_ms": round(snapshot.loop_lag_p99_ms, 1),
        "store": {"waiting": snapshot.backlog, "failing": snapshot.store_failing},
        "processes_known": presence.current,
        "processes": [_shown(each) for each in processes],
        "providers": _provider_rows(processes),
    }
    return JsonResponse(body, status=200 if well else 503)


def _shown(status: Status) -> dict[str, object]:
    """A process as strangers may see it: whose calls it has is nobody's business."""
    found = asdict(status)
    del found["tenants"]
    return found


def _provider_rows(processes: Sequence[Status]) -> list[dict[str, object]]:
    """All recognisers, voices and models: whether there, and how they did in all processes."""
    used = summed(Figures(**each) for process in processes for each in process.providers)
    figures = {(each.kind, each.name): asdict(each) for each in used}
    rows: list[dict[str, object]] = []
    for kind, name, available in _known_providers():
        unused = asdict(Figures(kind, name, "closed", None, {}))
        rows.append({**figures.pop((kind, name), unused), "available": available})
    rows += [{**found, "available": True} for found in figures.values()]  # models of profiles
    return rows


def _known_providers() -> list[tuple[str, str, bool]]:
    """Kind, name and whether it can be used, of all that the installation may use."""
    mind = MindCredentials.from_settings()
    return [
        *((each.kind, each.name, each.available) for each in describe(settings.SPEECH_CREDENTIALS)),
        ("model", f"groq {mind.groq_model}", bool(mind.groq_key)),
        ("model", "embedded", True),
    ]


def examine() -> dict[str, Finding]:
    """Every check, each with its own finding; blocking, for a worker thread."""
    checks: dict[str, Callable[[], str]] = {
        "database": _database,
        "redis": _redis,
        "migrations": _migrations,
        "preparation": _preparation,
        "providers": _providers,
        "calls": _calls,
    }
    return {name: _find(name, check) for name, check in checks.items()}


def _find(name: str, check: Callable[[], str]) -> Finding:
    started = time.perf_counter()
    try:
        ok, detail = True, check()
    except Unfit as error:
        ok, detail = False, str(error)
    except Exception:  # whatever it is, the probe has to be answered
        log.exception("the health check %s failed", name)
        ok, detail = False, "cannot be reached; the log says why"
    return Finding(ok, detail, round((time.perf_counter() - started) * 1000, 1))


def _database() -> str:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version')")
        return f"PostgreSQL {cursor.fetchone()[0].split()[0]}"


@cache
def _redis_client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=ANSWER_SECONDS)


def _redis() -> str:
    _redis_client().ping()
    return "answers"


def _migrations() -> str:
    if not _is_migrated():
        raise Unfit("migrations are pending; run manage.py migrate")
    return "all applied"


_migrated = False


def _is_migrated() -> bool:
    """Looked up until it holds: a running process cannot get new migrations."""
    global _migrated  # noqa: PLW0603 - one fact about this process
    if not _migrated:
        executor = MigrationExecutor(connections["default"])
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated


def _preparation() -> str:
    if is_preparing(settings.DATA_DIR):
        raise Unfit("the launcher is still migrating and seeding the database")
    return "done"


def _providers() -> str:
    statuses = describe(settings.SPEECH_CREDENTIALS)
    available = {kind: [s.name for s in statuses if s.kind == kind and s.available]
                 for kind in ("recogniser", "synthesiser")}  # fmt: skip
    if not all(available.values()):
        raise Unfit("there is no recogniser or no voice")
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in available.items())


def _calls() -> str:
    if not live.takes_calls:  # the phone is answered here all the same, if only to say "busy"
        takers = sum(other.accepting for other in presence.others)
        return f"taken by {takers} other processes"
    snapshot = live.snapshot()
    if not snapshot.accepting:
        raise Unfit("no more calls are taken: draining, full, or the store is behind")
    return f"{snapshot.live_calls} live"
