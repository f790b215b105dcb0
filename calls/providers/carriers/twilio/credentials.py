"""What has to be known to act as an account at Twilio."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    SecretStr,
    StringConstraints,
    model_validator,
)

from calls.providers.carriers.sentences import Sentence, _

_HOST = "https://api.twilio.com"


def _secret(secret: SecretStr) -> SecretStr:
    """Tokens are letters and digits; anything else was copied badly."""
    text = secret.get_secret_value()
    if text and not (text.isascii() and text.isalnum()):
        raise ValueError(_("it has characters that no token of Twilio's has: copy it again"))
    return secret


def _token(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < 16:
        raise ValueError(_("the auth token is 32 characters long: copy it from the console"))
    return secret


def _like(pattern: str, otherwise: Sentence) -> AfterValidator:
    def checked(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(otherwise)
        return text

    return AfterValidator(checked)


_Text = Annotated[str, StringConstraints(strip_whitespace=True)]
_Sid = Annotated[
    _Text,
    _like(r"AC[0-9a-fA-F]{32}", _("an account SID is AC and 32 digits and letters from a to f")),
]
_KeySid = Annotated[
    _Text,
    _like(
        r"(SK[0-9a-fA-F]{32})?", _("an API key's SID is SK and 32 digits and letters from a to f")
    ),
]
_Place = Annotated[
    _Text, _like(r"[a-z0-9-]*", _("only small letters, digits and dashes, such as dublin or ie1"))
]
_Secret = Annotated[SecretStr, AfterValidator(_secret)]


class TwilioCredentials(BaseModel):
    """An account, its token (which signs webhooks), and an API key where commands use one.

    Regions need `edge` and `region` together, and have tokens of their own (twilio.md, 1).
    Raises pydantic's ValidationError, which says what is wrong in words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    account_sid: _Sid
    auth_token: Annotated[_Secret, AfterValidator(_token)]
    api_key_sid: _KeySid = ""
    api_key_secret: _Secret = SecretStr("")
    edge: _Place = ""
    region: _Place = ""

    @model_validator(mode="after")
    def _pairs_are_whole(self) -> TwilioCredentials:
        if bool(self.api_key_sid) != bool(self.api_key_secret.get_secret_value()):
            raise ValueError(_("an API key needs both its SID and its secret"))
        if bool(self.edge) != bool(self.region):
            raise ValueError(_("edge and region go together: give both or neither"))
        return self

    @property
    def user_and_password(self) -> tuple[str, str]:
        """What HTTP Basic is sent: the API key where there is one."""
        if self.api_key_sid:
            return self.api_key_sid, self.api_key_secret.get_secret_value()
        return self.account_sid, self.auth_token.get_secret_value()

    @property
    def base_url(self) -> str:
        """The API of the account's region."""
        return f"https://api.{self.edge}.{self.region}.twilio.com" if self.region else _HOST
