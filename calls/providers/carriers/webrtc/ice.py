"""How a page's packets find us: STUN and TURN servers, and which addresses we try in return.

TURN credentials are those of coturn's REST scheme (draft-uberti-behave-turn-rest-00): a user name
that says until when it is good, and its HMAC under a secret that we share with the TURN server.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from calls.providers.public_only import is_public


@dataclass(frozen=True, slots=True)
class IceOptions:
    """An installation's settings.

    `turn_seconds` is how long a page's credentials are good for; `private` allows to try addresses
    of private networks that a page names, which would otherwise let it scan ours.
    """

    enabled: bool = True
    stun_urls: tuple[str, ...] = ()
    turn_urls: tuple[str, ...] = ()
    turn_secret: str = field(default="", repr=False)
    turn_seconds: int = 3600
    private: bool = False

    def servers(self, user: str, now: float) -> list[dict[str, Any]]:
        """A page's `iceServers`; `now` is the time of day in seconds since 1970."""
        servers: list[dict[str, Any]] = []
        if self.stun_urls:
            servers.append({"urls": list(self.stun_urls)})
        if self.turn_urls:
            name = f"{int(now) + self.turn_seconds}:{user}"
            servers.append(
                {
                    "urls": list(self.turn_urls),
                    "username": name,
                    "credential": turn_password(name, self.turn_secret),
                }
            )
        return servers


def turn_password(username: str, secret: str) -> str:
    """The password of a user name that says when it expires."""
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def may_try(candidate: str, *, private: bool) -> bool:
    """Whether to send packets to the address of a candidate line (RFC 8839, 5.1).

    Never to names (a page hides its addresses behind mDNS ones) nor over TCP, which aioice has
    not. A page whose own address is passed over here still reaches us: ICE answers whoever
    knows the call's password, from whatever address.
    """
    fields = candidate.removeprefix("a=").removeprefix("candidate:").split()
    if len(fields) < 8 or fields[2].lower() != "udp":
        return False
    try:
        address, port = ip_address(fields[4]), int(fields[5])
    except ValueError:
        return False
    if not 1024 <= port <= 65535 or address.is_multicast or address.is_unspecified:
        return False
    return private or is_public(fields[4])
