"""Whether a webhook really comes from Twilio, judged by Twilio's own validator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twilio.request_validator import (
    HMAC_SHA1,
    SIGNATURE_HEADER,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
    get_signature_algorithm,
)

__all__ = ["SIGNATURE_HEADER", "SIGNATURE_SETTINGS_HEADER", "Fields", "is_signed", "sign"]


class Fields(dict[str, Sequence[str]]):
    """A form with all values of each field, as Twilio's validator asks for them."""

    def getlist(self, name: str) -> Sequence[str]:
        """The values of a field."""
        return self[name]


def is_signed(
    *,
    url: str,
    params: object,
    headers: Mapping[str, str],
    auth_token: str,
    shared_keys: Mapping[str, str] | None = None,
) -> bool:
    """Tell whether `headers` sign `url` and `params` (a dict, QueryDict or `Fields`).

    `url` is the public one, exactly as Twilio was told, with the query as it was sent. A
    request signed by a SharedKey names it in X-Twilio-Webhooks-Signature-Settings; its secret
    is looked up in `shared_keys`, and the auth token proves nothing then.
    """
    signature = headers.get(SIGNATURE_HEADER, "")
    settings = headers.get(SIGNATURE_SETTINGS_HEADER, "")
    secret = _secret(settings, auth_token, shared_keys or {})
    if not signature or not secret:
        return False
    validator = RequestValidator(secret)
    algorithm = get_signature_algorithm(settings)
    return bool(validator.validate(url, params, signature, algorithm))


def sign(*, url: str, params: object, auth_token: str) -> str:
    """The signature that Twilio would send with this request (for the simulated carrier)."""
    return str(RequestValidator(auth_token).compute_signature(url, params, HMAC_SHA1))


def _secret(settings: str, auth_token: str, shared_keys: Mapping[str, str]) -> str:
    if not settings:
        return auth_token
    fields = dict(part.strip().partition("=")[::2] for part in settings.split(","))
    return shared_keys.get(fields.get("key", ""), "")
