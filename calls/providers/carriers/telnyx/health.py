"""What "check connection" says of an account, in words for whoever set it up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.brain.errors import BadKey, BadRequest
from calls.providers.carriers.sentences import _
from calls.providers.carriers.telnyx.credentials import TelnyxCredentials


def rejected_key(refused: BadKey) -> str:
    """Telnyx does not let us in."""
    return _("Telnyx does not take the API key (%(why)s)", why=refused.message)


def not_an_application(credentials: TelnyxCredentials, refused: BadRequest) -> str:
    """The key is right, but the connection id is not."""
    return _(
        "this API key's account has no Voice API application %(id)s: copy the application's ID "
        "into the connection id (%(why)s)",
        id=credentials.connection_id,
        why=refused.message,
    )


def application_problems(application: Mapping[str, Any], webhook_url: str) -> tuple[str, ...]:
    """What is wrong with the settings of a Voice API application; `webhook_url` is ours."""
    set_url = str(application.get("webhook_event_url") or "")
    outbound = application.get("outbound")
    profile = outbound.get("outbound_voice_profile_id") if isinstance(outbound, dict) else None
    problems = {
        _("the application is switched off"): application.get("active") is False,
        _(
            "the application has no webhook URL: set it to %(url)s",
            url=webhook_url or _("our address"),
        ): not set_url,
        _(
            "the application's webhooks go to %(url)s, not to %(wanted)s",
            url=set_url,
            wanted=webhook_url,
        ): bool(set_url and webhook_url and set_url != webhook_url),
        _("the application's webhooks are of API version 1: choose “API v2”"): (
            str(application.get("webhook_api_version") or "2") != "2"
        ),
        _("the application has no outbound voice profile: it can take calls, but place none"): (
            not profile
        ),
    }
    return tuple(words for words, true in problems.items() if true)
