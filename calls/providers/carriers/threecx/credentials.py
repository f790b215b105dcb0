"""What it takes to work with one 3CX system, as an administrator types it in (threecx.md, 1)."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from calls.providers.carriers.sentences import _

# A client id is the DN of a route point, and stands in paths and in dialled numbers.
_DN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,49}")


class ThreeCxCredentials(BaseModel):
    """One API client of one PBX.

    `base_url` is the PBX's own address with its port, `client_id` the DN of the route point,
    `client_secret` the API key that 3CX shows once. Calls that no agent can take are diverted
    to the DN `overflow`; they are dropped where it is empty.
    """

    model_config = ConfigDict(
        frozen=True, str_strip_whitespace=True, extra="forbid", hide_input_in_errors=True
    )

    base_url: str
    client_id: str
    client_secret: SecretStr
    overflow: str = ""

    @field_validator("base_url")
    @classmethod
    def _address(cls, text: str) -> str:
        """`https://host[:port]`; plain HTTP only to this machine, for a stand-in."""
        parts = urlsplit(text.rstrip("/"))
        try:
            host, _port = parts.hostname or "", parts.port
        except ValueError:
            raise ValueError(_("“%(address)s” has no sensible port", address=text)) from None
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError(
                _("“%(text)s” is no address: https://pbx.example.com or with :5001", text=text)
            )
        if parts.username or parts.path or parts.query or parts.fragment:
            raise ValueError(_("only https://host:port, without a path, a name or a password"))
        if parts.scheme == "http" and not _is_this_machine(host):
            raise ValueError(_("https, please: the key and the callers' voices pass over this"))
        return f"{parts.scheme}://{parts.netloc}"

    @field_validator("client_id")
    @classmethod
    def _own_dn(cls, dn: str) -> str:
        return _checked_dn(dn)

    @field_validator("overflow")
    @classmethod
    def _overflow_dn(cls, dn: str) -> str:
        return _checked_dn(dn) if dn else ""

    @field_validator("client_secret")
    @classmethod
    def _some_secret(cls, secret: SecretStr) -> SecretStr:
        if not secret.get_secret_value().strip():
            raise ValueError(_("the API key is empty; 3CX shows it once, when the client is added"))
        return secret

    @property
    def host(self) -> str:
        """The PBX's name, for people."""
        return urlsplit(self.base_url).netloc

    @property
    def events_url(self) -> str:
        """Where events come from: the same address, as a WebSocket."""
        return self.base_url.replace("http", "ws", 1) + "/callcontrol/ws"


def _checked_dn(dn: str) -> str:
    if not _DN.fullmatch(dn):
        raise ValueError(
            _("“%(dn)s” is no DN: letters, digits, dot, dash and underscore", dn=dn[:60])
        )
    return dn


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
