"""Fetches from the public Internet alone, for addresses that somebody else chose.

Otherwise whoever has us fetch a file could have us read what only our own network can see. Names
are resolved here and the connection is made to the address that was judged, so that a name which
means something else the next moment gains nothing.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

import httpx

# Addresses within which others hide: 6to4 and NAT64 (RFC 3056, RFC 6052).
_TUNNELS = (ip_network("2002::/16"), ip_network("64:ff9b::/96"))


class NotPublic(httpx.UnsupportedProtocol):
    """The address does not lie in the public Internet, or is not asked for over TLS."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public Internet. Raises ValueError for what is none."""
    found = ip_address(address)
    if isinstance(found, IPv6Address) and any(found in net for net in _TUNNELS):
        return False
    return found.is_global and not found.is_multicast


class PublicOnly(httpx.AsyncHTTPTransport):
    """Asks servers of the public Internet over TLS. Raises NotPublic for all others.

    Each connection serves one request: by its address alone it could be taken for another name's.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(limits=httpx.Limits(max_keepalive_connections=0), **options)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it to the address that its host's name has now; redirections come here too."""
        host = request.url.host
        if request.url.scheme != "https":
            raise NotPublic(f"{request.url.scheme}://{host}: only https is fetched")
        judged = httpx.Request(
            request.method,
            request.url.copy_with(host=await _public_address(host, request.url.port or 443)),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )
        return await super().handle_async_request(judged)


async def _public_address(host: str, port: int) -> str:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpx.ConnectError(f"{host}: {error}") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not all(is_public(address) for address in addresses):
        raise NotPublic(f"{host} is no host of the public Internet")
    return addresses[0]
