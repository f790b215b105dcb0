"""The end of a stream is nothing to a call that has gone on since."""

from __future__ import annotations

import pytest
from django.utils import timezone

from calls.line.rows import Closing
from calls.models import Call, Leg
from calls.services import calls as calls_service
from calls.services.calls import call_close
from calls.services.parting import stream_await
from tenants.db import tenant_transaction
from tests.calls.test_store import live_call, stored
from tests.rows import make_row


@pytest.mark.django_db(transaction=True)
def test_call_that_another_stream_takes_while_it_is_closed_goes_on(desk, monkeypatch):
    call = live_call(desk, streams=1)

    def taken_over(*, call_id, now, after):
        Call.objects.filter(pk=call_id).update(streams=2)
        return False

    monkeypatch.setattr(calls_service, "stream_await", taken_over)
    with tenant_transaction(desk.tenant.id):
        lost = Closing("media_lost", timezone.now(), stream=1)
        assert not call_close(call_id=call.pk, closing=lost)
    assert (stored(call).state, stored(call).streams) == ("live", 2)


@pytest.mark.django_db
def test_stream_that_ends_as_if_hung_up_ends_no_call_whose_carrier_asked_for_another(desk):
    """Twilio closes its socket in good order where it fails by itself, and asks what is next."""
    call = live_call(desk, streams=1, media_lost_at=timezone.now())
    with tenant_transaction(desk.tenant.id):
        closing = Closing("caller_hung_up", timezone.now(), stream=1)
        assert not call_close(call_id=call.pk, closing=closing)
        call.refresh_from_db()
    assert call.state == "live"


@pytest.mark.django_db
@pytest.mark.parametrize(("after", "waits"), [(1, False), (2, True), (None, True)])
def test_loss_of_an_old_stream_makes_no_call_wait_for_another(desk, after, waits):
    """The next stream may begin while the end of the last one is still being written."""
    call = live_call(desk, streams=2)
    with tenant_transaction(desk.tenant.id):
        make_row(Leg, call=call, carrier="twilio", role="customer", state="answered")
        assert stream_await(call_id=call.pk, now=timezone.now(), after=after)
        call.refresh_from_db()
    assert (call.media_lost_at is not None) is waits
