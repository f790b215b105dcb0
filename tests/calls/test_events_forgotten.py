"""What the sweepers forget, and what they keep."""

from __future__ import annotations

import pytest
from django.utils import timezone

from calls.models import CarrierEvent, Leg
from calls.services.carrier_events import EVENTS_KEPT, events_forget
from tenants.db import tenant_transaction
from tests.calls.conftest import Desk
from tests.rows import make_row

pytestmark = pytest.mark.django_db


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
