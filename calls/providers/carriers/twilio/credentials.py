"""What has to be known to act as an account at Twilio."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class TwilioCredentials(BaseModel):
    """An account, its token (which signs webhooks), and an API key where commands use one.

    Regions need `edge` and `region` together, and have tokens of their own (twilio.md, 1).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    account_sid: str = Field(pattern=r"^AC[0-9a-fA-F]{32}$")
    auth_token: SecretStr = Field(min_length=16)
    api_key_sid: str = Field(default="", pattern=r"^(SK[0-9a-fA-F]{32})?$")
    api_key_secret: SecretStr = SecretStr("")
    edge: str = Field(default="", pattern=r"^[a-z0-9-]*$")
    region: str = Field(default="", pattern=r"^[a-z0-9]*$")
    base_url: str = Field(default="", pattern=r"^(https?://.*)?$")

    @model_validator(mode="after")
    def _pairs_are_whole(self) -> TwilioCredentials:
        if bool(self.api_key_sid) != bool(self.api_key_secret.get_secret_value()):
            raise ValueError("an API key needs both its SID and its secret")
        if bool(self.edge) != bool(self.region):
            raise ValueError("edge and region go together: give both or neither")
        return self

    @property
    def user_and_password(self) -> tuple[str, str]:
        """What HTTP Basic is sent: the API key where there is one."""
        if self.api_key_sid:
            return self.api_key_sid, self.api_key_secret.get_secret_value()
        return self.account_sid, self.auth_token.get_secret_value()
