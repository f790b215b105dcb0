"""The account that a machine without one of its own has at its simulated Twilio."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

PORT = 5012  # nobody is there unless a simulated API runs
API_URL = f"http://127.0.0.1:{PORT}"
ACCOUNT_SID = "AC" + "0" * 32


def keys(secret: str) -> Mapping[str, str]:
    """What that account's credentials are made of; only who knows the secret can sign with them."""
    digest = hmac.new(secret.encode(), b"calls.twilio.simulated", hashlib.sha256).hexdigest()
    return {"account_sid": ACCOUNT_SID, "auth_token": digest[:32]}
