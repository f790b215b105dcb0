"""The installation's own accounts at carriers.

A machine without one still takes signed calls, from its own simulated carriers alone: only who
holds SECRET_KEY can sign as they do.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping

from django.conf import settings

from agents.brain.errors import BadKey
from calls.providers.carriers.telnyx import simulated


def twilio_auth_token() -> str:
    """The account's token; without one, a secret of this installation."""
    configured: str = settings.TWILIO_AUTH_TOKEN
    if configured:
        return configured
    key = settings.SECRET_KEY.encode()
    return hmac.new(key, b"calls.twilio.simulated", hashlib.sha256).hexdigest()[:32]


def installation_keys(carrier: str) -> Mapping[str, str]:
    """What the carrier's credentials are made of, for calls that no tenant's account has."""
    try:
        return _KEYS[carrier]()
    except KeyError:
        raise BadKey(
            carrier, "the installation has no account there: give the number a carrier account"
        ) from None


def api_url(carrier: str) -> str:
    """Where the carrier's API is, for all accounts; empty: where its own adapter knows it.

    Without an account of ours at Telnyx it is the simulated one's.
    """
    if carrier != "telnyx":
        return ""
    if settings.TELNYX_BASE_URL:
        return str(settings.TELNYX_BASE_URL)
    return "" if settings.TELNYX_API_KEY else simulated.API_URL


def _twilio() -> Mapping[str, str]:
    return {
        "account_sid": settings.TWILIO_ACCOUNT_SID or "AC" + "0" * 32,
        "auth_token": twilio_auth_token(),
    }


def _telnyx() -> Mapping[str, str]:
    if not settings.TELNYX_API_KEY:
        return simulated.keys(settings.SECRET_KEY)
    return {
        "api_key": settings.TELNYX_API_KEY,
        "public_key": settings.TELNYX_PUBLIC_KEY,
        "connection_id": settings.TELNYX_CONNECTION_ID,
        "messaging_profile_id": settings.TELNYX_MESSAGING_PROFILE_ID,
    }


_KEYS: dict[str, Callable[[], Mapping[str, str]]] = {"twilio": _twilio, "telnyx": _telnyx}
