"""The secrets that carriers sign with."""

from __future__ import annotations

import hashlib
import hmac

from django.conf import settings


def twilio_auth_token() -> str:
    """The account's token; without one, a secret of this installation.

    So a machine without a Twilio account still takes signed calls, from its own simulated
    caller alone: only who holds SECRET_KEY can sign them.
    """
    configured: str = settings.TWILIO_AUTH_TOKEN
    if configured:
        return configured
    key = settings.SECRET_KEY.encode()
    return hmac.new(key, b"calls.twilio.simulated", hashlib.sha256).hexdigest()[:32]
