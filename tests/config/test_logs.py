from __future__ import annotations

import io
import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import structlog
from django.core.exceptions import PermissionDenied
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from config import logs
from tenants.context import use_tenant

KEY = "gsk_" + "aB3dE5gH7jK9" * 4


class Captured:
    """A log of its own, beside pytest's handlers."""

    def __init__(self, form: str) -> None:
        configured = logs.configuration(level="INFO", form=form)
        configurator = logging.config.DictConfigurator(configured)
        formatter = configurator.configure_formatter(configured["formatters"]["structured"])
        self._stream = io.StringIO()
        self.handler = logging.StreamHandler(self._stream)
        self.handler.setFormatter(formatter)

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def captured() -> Iterator[Captured]:
    result = Captured("json")
    root = logging.getLogger()
    level = root.level
    root.addHandler(result.handler)
    root.setLevel(logging.INFO)
    yield result
    root.removeHandler(result.handler)
    root.setLevel(level)
    structlog.contextvars.clear_contextvars()


def test_a_line_carries_call_and_tenant_from_context(captured):
    structlog.contextvars.bind_contextvars(call="c-1")
    with use_tenant(7):
        logging.getLogger("calls.session").info("turn %d took %.1f ms", 2, 320.5)
    event = captured.events[0]
    assert event["event"] == "turn 2 took 320.5 ms"
    assert (event["call"], event["tenant"]) == ("c-1", 7)
    assert (event["level"], event["logger"]) == ("info", "calls.session")
    assert event["at"].endswith("Z")


def test_outside_a_call_no_ids_are_invented(captured):
    logging.getLogger("x").info("hello")
    assert not {"call", "tenant"} & set(captured.events[0])


def test_keys_are_masked_in_arguments_extras_and_tracebacks(captured):
    log = logging.getLogger("httpx")
    try:
        raise RuntimeError(f"401 for {KEY}")
    except RuntimeError:
        log.exception("posting with %s failed", KEY, extra={"headers": {"x-key": KEY}})
    assert KEY not in captured.text
    event = captured.events[0]
    assert "Traceback" in event["exception"]
    assert "gsk_***" in event["exception"]


def test_a_key_inside_an_object_is_masked(captured):
    class Response:
        def __repr__(self) -> str:
            return f"<Response {KEY}>"

    logging.getLogger("x").warning("got %s", [Response()], extra={"response": Response()})
    assert KEY not in captured.text
    assert len(captured.events) == 1


def test_structlogs_own_loggers_pass_the_same_mask(captured):
    structlog.get_logger("y").warning("paid", card="4111111111111111", attempt=3)
    event = captured.events[0]
    assert (event["card"], event["attempt"]) == ("***", 3)


def test_an_expected_denial_is_one_warning_without_a_traceback(captured):
    def refused(_request: HttpRequest) -> HttpResponse:
        raise PermissionDenied("Your role does not allow this.")

    response = convert_exception_to_response(refused)(RequestFactory().get("/test-call/"))
    assert response.status_code == 403
    (event,) = captured.events
    assert event["level"] == "warning"
    assert event["reason"] == "Your role does not allow this."
    assert event["event"] == "Forbidden (Permission denied): /test-call/"
    assert "exception" not in event


def test_a_crash_keeps_its_traceback(captured):
    def crashing(_request: HttpRequest) -> HttpResponse:
        raise RuntimeError("unexpected")

    assert convert_exception_to_response(crashing)(RequestFactory().get("/")).status_code == 500
    assert "RuntimeError: unexpected" in captured.text


def test_the_console_masks_as_well():
    captured = Captured("console")
    record = logging.LogRecord("x", logging.INFO, "f", 1, "key %s", (KEY,), None)
    captured.handler.emit(record)
    assert "gsk_***" in captured.text
    assert KEY not in captured.text
