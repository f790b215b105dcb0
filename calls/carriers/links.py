"""The addresses that carriers are told, and the tokens that go with them."""

from __future__ import annotations

import uuid
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import NoReverseMatch, reverse

from calls.carriers import hold_music as music
from calls.carriers.tokens import stream_token
from calls.providers.carriers.port import HoldMusic, Relay, StreamTarget
from calls.providers.carriers.registry import has_no_webhooks

MEDIA_PATH = "/api/v1/ws/media-stream/{carrier}"
RELAY_PATH = "/api/v1/ws/relay/{carrier}"
MESSAGE_PATH = "/api/v1/{carrier}/messages/{message}"
TOKEN_PARAMETER = "token"  # noqa: S105 - the parameter's name


def public_url(path: str) -> str:
    """The address under which a carrier reaches this path."""
    return f"{settings.PUBLIC_BASE_URL.rstrip('/')}{path}"


def socket_url(path: str) -> str:
    """The address of a socket of ours for carriers."""
    url = urlsplit(public_url(path))
    return url._replace(scheme="ws" if url.scheme == "http" else "wss").geturl()


def stream_target(
    carrier: str,
    call_id: uuid.UUID,
    *,
    after: int = 0,
    record: bool = False,
    relay: Relay | None = None,
) -> StreamTarget:
    """Where this call's sound is to be brought, or with a `relay` its text.

    The token that goes with it opens one stream.
    """
    path = MEDIA_PATH if relay is None else RELAY_PATH
    url = socket_url(path.format(carrier=carrier))
    parameters = {TOKEN_PARAMETER: stream_token(call_id, after)}
    told = signals_url(carrier, call_id)
    return StreamTarget(
        url, parameters, record=record, signals_url=told, relay=relay, number=after + 1
    )


def webhook_url(carrier: str, account: uuid.UUID | None) -> str:
    """Where the carrier sends what happens at an account; without one, at the installation's.

    Empty for a carrier that sends nothing. For Twilio it is the address up to the kind of callback.
    """
    if has_no_webhooks(carrier):
        return ""
    if account is None:
        return _base(f"calls:{carrier}-webhook")
    return _base(f"calls:{carrier}-account-webhook", account)


def signals_url(carrier: str, call_id: uuid.UUID) -> str:
    """Where the carrier sends what happens to the legs that we made for this call, if it does."""
    if has_no_webhooks(carrier):
        return ""
    return _base(f"calls:{carrier}-call-webhook", call_id)


def _base(name: str, *about: uuid.UUID) -> str:
    """A route's address; up to the kind, for a carrier that tells each kind at its own."""
    try:
        return public_url(reverse(name, args=about))
    except NoReverseMatch:
        return public_url(reverse(name, args=(*about, "kind")).removesuffix("/kind"))


def hold_music() -> HoldMusic:
    """What carriers play to a caller who waits for a person."""
    return HoldMusic(public_url(reverse("calls:hold-music")), music.SECONDS)


def message_url(carrier: str, message_id: uuid.UUID) -> str:
    """Where the carrier sends what becomes of this message of ours."""
    return public_url(MESSAGE_PATH.format(carrier=carrier, message=message_id))
