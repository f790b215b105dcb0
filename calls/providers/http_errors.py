"""HTTP refusals as the errors that all providers share."""

from __future__ import annotations

from contextlib import suppress

import orjson

from agents.brain.errors import BadKey, BadRequest, ProviderDown, ProviderError, QuotaExceeded


def error_of_status(
    provider: str, status: int, body: str = "", retry_after: str | None = None
) -> ProviderError:
    """What an answer of this HTTP status means; `retry_after` is that header's value."""
    message = f"HTTP {status} {_reason(body)}".rstrip()
    if status in (401, 403):
        return BadKey(provider, message)
    if status in (402, 429):
        return QuotaExceeded(provider, message, _seconds(retry_after))
    if 400 <= status < 500:
        return BadRequest(provider, message)
    return ProviderDown(provider, message)


def _seconds(retry_after: str | None) -> float | None:
    with suppress(TypeError, ValueError):
        return max(0.0, float(retry_after or ""))
    return None


def _reason(body: str) -> str:
    """The message in a JSON error of the usual shapes, or the body's beginning."""
    with suppress(ValueError, AttributeError):
        content = orjson.loads(body)
        error = content.get("error") or content.get("detail") or content
        text = error.get("message") if isinstance(error, dict) else error
        return str(text or "")[:300]
    return " ".join(body.split())[:300]
