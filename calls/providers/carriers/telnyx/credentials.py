"""What is needed to speak for one account at Telnyx, checked before anything is sent."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, StringConstraints

from calls.providers.carriers.sentences import _

_PUBLIC_KEY_BYTES = 32


def _public_key(text: str) -> str:
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError(
            _("the public key is no base64: copy it from Keys & Credentials, Public Key")
        ) from None
    if len(raw) != _PUBLIC_KEY_BYTES:
        raise ValueError(
            _(
                "the public key is %(length)s bytes long, an Ed25519 key %(needed)s: copy it from "
                "Keys & Credentials, Public Key",
                length=len(raw),
                needed=_PUBLIC_KEY_BYTES,
            )
        )
    return text


def _api_key(secret: SecretStr) -> SecretStr:
    """Header values are ASCII without white space; anything else was copied badly."""
    text = secret.get_secret_value()
    if not text:
        raise ValueError(_("the API key is empty"))
    if not text.isascii() or any(mark.isspace() or not mark.isprintable() for mark in text):
        raise ValueError(_("the API key has characters that no key has: copy it again"))
    return secret


def _connection_id(text: str) -> str:
    if not text.isdecimal():
        raise ValueError(
            _("the connection id is the number of the Voice API application, such as 1234567890")
        )
    return text


_Text = Annotated[str, StringConstraints(strip_whitespace=True)]


class TelnyxCredentials(BaseModel):
    """One account. Raises pydantic's ValidationError, which says what is wrong in words.

    `connection_id` is that of the Call Control ("Voice API") application, `public_key` the
    account's Ed25519 key in base64, by which its webhooks are known. `messaging_profile_id` is
    needed only to send from WhatsApp numbers that have no SMS.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    api_key: Annotated[SecretStr, AfterValidator(_api_key)]
    public_key: Annotated[_Text, AfterValidator(_public_key)]
    connection_id: Annotated[_Text, AfterValidator(_connection_id)]
    messaging_profile_id: _Text = ""

    @property
    def public_key_bytes(self) -> bytes:
        """The Ed25519 key itself, 32 bytes."""
        return base64.b64decode(self.public_key)
