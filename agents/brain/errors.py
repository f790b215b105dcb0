"""What can go wrong with a provider of speech or language, one class per cause.

Adapters turn their vendor's errors into these, so that whoever holds several providers can
decide what to do next without knowing any vendor.
"""

from __future__ import annotations


class ProviderError(Exception):
    """A provider could not do its work. `str()` says which one and why, never a secret.

    The message may be a vendor's own words, or bytes of something between us: no text of a
    database holds a null character.
    """

    def __init__(self, provider: str, message: str) -> None:
        message = message.replace("\x00", "")
        super().__init__(f"{provider}: {message}")
        self.provider = provider
        self.message = message

    @property
    def code(self) -> str:
        """The class's name, as stored in events and metrics."""
        return type(self).__name__


class BadKey(ProviderError):
    """The key is missing, wrong or not allowed to do this. Trying again will not help."""


class QuotaExceeded(ProviderError):
    """Too many requests, or the account is used up.

    `retry_after` is in seconds, when the provider said so.
    """

    def __init__(self, provider: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(provider, message)
        self.retry_after = retry_after


class ProviderTimeout(ProviderError):
    """No answer, or no further piece of one, in the time allowed."""


class NetworkFailure(ProviderError):
    """The provider could not be reached, or the connection broke."""


class BadRequest(ProviderError):
    """The provider understood us and refuses: a wrong model, voice or parameter."""


class ProviderDown(ProviderError):
    """The provider itself failed (5xx, overloaded, an error inside a stream)."""
