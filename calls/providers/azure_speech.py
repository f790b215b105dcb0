"""What recognition and synthesis by Azure's SDK have in common. Source: speech.md A1, A3."""

from __future__ import annotations

from typing import Any, Final

import azure.cognitiveservices.speech as speechsdk

from agents.brain.errors import (
    BadKey,
    BadRequest,
    NetworkFailure,
    ProviderDown,
    ProviderError,
    ProviderTimeout,
    QuotaExceeded,
)
from calls.providers.provider import Credentials

NAME: Final = "azure"

_Code = speechsdk.CancellationErrorCode
_ERRORS: dict[speechsdk.CancellationErrorCode, type[ProviderError]] = {
    _Code.AuthenticationFailure: BadKey,
    _Code.Forbidden: BadKey,
    _Code.BadRequest: BadRequest,
    _Code.TooManyRequests: QuotaExceeded,
    _Code.ConnectionFailure: NetworkFailure,
    _Code.ServiceTimeout: ProviderTimeout,
}


def missing(credentials: Credentials) -> str:
    """Which setting is absent, or ""."""
    if credentials.azure_endpoint:
        return ""
    if not credentials.azure_key:
        return "AZURE_SPEECH_KEY is not set"
    return "" if credentials.azure_region else "AZURE_SPEECH_REGION is not set"


def speech_config(credentials: Credentials) -> speechsdk.SpeechConfig:
    """The cloud of the region, or whatever listens at the endpoint, with or without a key."""
    key = credentials.azure_key or None
    if credentials.azure_endpoint:
        return speechsdk.SpeechConfig(host=credentials.azure_endpoint, subscription=key)
    return speechsdk.SpeechConfig(subscription=key, region=credentials.azure_region)


def error_of(details: Any) -> ProviderError:
    """The typed error of the SDK's cancellation details (of recognition or synthesis)."""
    code = getattr(details, "code", None) or getattr(details, "error_code", None)
    return _ERRORS.get(code, ProviderDown)(NAME, details.error_details or str(code))
