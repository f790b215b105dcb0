"""What the sweepers look at every few seconds is what is open, not all that a tenant ever had."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from calls.models import CarrierEvent, Leg
from calls.services.calls import calls_without_figures
from calls.services.carrier_events import EVENTS_KEPT, events_forget
from calls.services.carrier_recordings import recordings_overdue
from calls.services.lines import lines_sweep
from tenants.db import tenant_transaction
from tests.calls.conftest import Desk
from tests.rows import make_row

pytestmark = pytest.mark.django_db


def plans(queries: list[dict[str, Any]], table: str) -> list[str]:
    """How PostgreSQL would do those about the table, were it a large one."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for sql in (query["sql"] for query in queries):
            if f'"{table}"' in sql and sql.startswith(("SELECT", "UPDATE", "DELETE")):
                cursor.execute(f"EXPLAIN {sql}")
                found.append("\n".join(line for (line,) in cursor.fetchall()))
    return found


@pytest.mark.parametrize(
    ("sweep", "table", "index"),
    [
        (lines_sweep, "calls_leg", "calls_leg_open"),
        (calls_without_figures, "calls_call", "calls_call_without_figures"),
        (recordings_overdue, "calls_recording", "calls_recording_unfinished"),
        (events_forget, "calls_carrierevent", "calls_carrier_event_by_age"),
        (events_forget, "calls_carrierevent", "calls_leg_open"),
    ],
)
def test_sweeper_finds_what_is_open_by_an_index_of_nothing_else(
    desk: Desk, sweep: Callable[..., Any], table: str, index: str
) -> None:
    with tenant_transaction(desk.tenant.id):
        with CaptureQueriesContext(connection) as asked:
            sweep(now=timezone.now())
        assert any(index in plan for plan in plans(asked.captured_queries, table))


def test_order_that_has_no_leg_yet_keeps_no_event_for_ever(desk: Desk) -> None:
    """It has no name at its carrier, and events of no leg have none either."""
    now = timezone.now()
    with tenant_transaction(desk.tenant.id):
        make_row(Leg, carrier="telnyx", carrier_id="", state="dialling")
        make_row(Leg, carrier="telnyx", carrier_id="open", state="answered")
        for name in ("", "open", "gone"):
            make_row(CarrierEvent, carrier="telnyx", leg=name)
        CarrierEvent.objects.update(received_at=now - 2 * EVENTS_KEPT)
        assert events_forget(now=now) == 2
        assert [event.leg for event in CarrierEvent.objects.all()] == ["open"]
