"""Webhooks as Telnyx words them (telnyx.md, 2), for tests."""

from __future__ import annotations

import json
from typing import Any

AT = "2026-11-20T10:00:00.000000Z"


def webhook(kind: str, *, event_id: str = "e-1", at: str = AT, **payload: Any) -> bytes:
    """The body of one webhook; a leg's ids are there unless they are given as None."""
    ids = {
        "call_control_id": "v3:leg",
        "call_leg_id": "6f1c1d2e-0000-0000-0000-000000000001",
        "call_session_id": "6f1c1d2e-0000-0000-0000-0000000000ff",
        "connection_id": "1234567890",
    }
    fields = {name: value for name, value in {**ids, **payload}.items() if value is not None}
    data = {
        "record_type": "event",
        "event_type": kind,
        "id": event_id,
        "occurred_at": at,
        "payload": fields,
    }
    return json.dumps({"data": data, "meta": {"attempt": 1}}).encode()
