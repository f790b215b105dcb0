"""Structured logs: who and which call from context, secrets and personal data masked.

Every record of every library passes here. Code logs with `logging.getLogger(__name__)`; what
is bound with `structlog.contextvars.bind_contextvars(call=…)` is on every line until unbound.
"""

from __future__ import annotations

import logging
from typing import Any

import orjson
import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from config.masking import mask_value
from tenants.context import maybe_tenant_id

_NOISE = ("_record", "_from_structlog", "color_message", "request", "server_time")


class ExpectedDenials(logging.Filter):
    """A request that was refused is one line with its reason: where in the code is no news."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Take the traceback off what is no error."""
        if record.levelno < logging.ERROR and record.exc_info:
            record.reason = str(record.exc_info[1])
            record.exc_info = record.exc_text = None
        return True


def configuration(*, level: str, form: str) -> dict[str, Any]:
    """Django's LOGGING for `form` "json" or "console"."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_common(form),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _common(form),
                "processors": [_with_exception, _masked, *_renderer(form)],
            }
        },
        "filters": {"denials": {"()": ExpectedDenials}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": _loggers(),
    }


def _loggers() -> dict[str, dict[str, Any]]:
    """Django's own handlers out of the way, and libraries that say too much at INFO quieter."""
    passing_on: dict[str, dict[str, Any]] = {
        name: {"handlers": [], "propagate": True} for name in ("django", "django.server")
    }
    talkative = (
        "aioice", "asyncio", "axes", "celery.app.trace", "celery.beat", "celery.worker", "daphne",
        "httpcore", "httpx", "twisted", "uvicorn",
    )  # fmt: skip
    passing_on["django.request"] = {"filters": ["denials"], "propagate": True}
    return passing_on | {name: {"level": "WARNING"} for name in talkative}


def _common(form: str) -> list[Processor]:
    whole = form == "json"
    stamp = structlog.processors.TimeStamper(
        fmt="iso" if whole else "%H:%M:%S.%f", utc=whole, key="at"
    )
    return [
        structlog.contextvars.merge_contextvars,
        _with_tenant,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.stdlib.PositionalArgumentsFormatter(),
        stamp,
    ]


def _with_tenant(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    tenant = maybe_tenant_id()
    if tenant is not None:
        event.setdefault("tenant", tenant)
    return event


def _with_exception(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return structlog.processors.format_exc_info(logger, method, event)


def _masked(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for name in _NOISE:
        event.pop(name, None)
    stamp = event.pop("at", None)
    masked: EventDict = {name: mask_value(name, value) for name, value in event.items()}
    return {"at": stamp, **masked}


def _renderer(form: str) -> list[Processor]:
    if form == "json":
        return [structlog.processors.JSONRenderer(serializer=_as_json)]
    return [structlog.dev.ConsoleRenderer(timestamp_key="at", colors=False, sort_keys=False)]


def _as_json(event: EventDict, **_options: Any) -> str:
    return orjson.dumps(event, option=orjson.OPT_NON_STR_KEYS, default=str).decode()
