"""Calls that are asked for over HTTP, at a moment that stands still."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from calls.carriers import outbox
from calls.models import Call, Command, Leg, Number
from calls.services import outbound
from tenants.db import tenant_transaction
from tests.calls.conftest import Desk

CALLS = "/api/v1/calls/"
SOMEBODY, SOMEBODY_ELSE = "+525598765432", "+525598765433"
NOWHERE = "+80012345678"  # a toll-free number of no country
MADRID_AND_CANARIES = "+34600000001"
NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)  # 12:00 in Mexico, 19:00 in Madrid


@pytest.fixture
def sent(monkeypatch) -> list[int]:
    """The orders that a worker was asked to send, instead of sending them."""
    found: list[int] = []
    monkeypatch.setattr(outbox, "post", lambda _tenant, order: found.append(order))
    return found


@pytest.fixture
def at(monkeypatch) -> Callable[[datetime], None]:
    """Stop the clock: `at(NOON)`."""

    def stop(now: datetime) -> None:
        monkeypatch.setattr(outbound, "timezone", SimpleNamespace(now=lambda: now))

    stop(NOON)
    return stop


@pytest.fixture
def line(desk: Desk, at: Any) -> Desk:
    """A desk whose number is at a carrier that places calls."""
    with tenant_transaction(desk.tenant.id):
        Number.objects.filter(e164=desk.number).update(carrier="telnyx")
    return desk


@pytest.fixture
def ask(client, make_api_key, line, sent) -> Callable[..., Any]:
    """Ask for a call over HTTP: `ask(to_number=…, key=…)`."""
    api_key = make_api_key(line.tenant, ["calls.view", "calls.control"])

    def post(key: str | None = None, bearer: str = api_key, **fields: Any) -> Any:
        asked = {"to_number": SOMEBODY, "agent": str(line.agent.public_id), **fields}
        headers = {"authorization": f"Bearer {bearer}"}
        if key is not None:
            headers["idempotency-key"] = key
        return client.post(CALLS, asked, content_type="application/json", headers=headers)

    return post


def count(desk: Desk) -> tuple[int, int, int]:
    with tenant_transaction(desk.tenant.id):
        return Call.objects.count(), Leg.objects.count(), Command.objects.count()
