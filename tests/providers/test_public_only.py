"""Addresses that others chose lead into the public Internet, or nowhere."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest

from agents.brain.errors import BadRequest
from calls.providers import public_only
from calls.providers.carriers.telnyx.api import TelnyxApi
from calls.providers.carriers.telnyx.credentials import TelnyxCredentials
from calls.providers.public_only import NotPublic, PublicOnly, is_public
from tests.providers.carriers.test_telnyx_credentials import GOOD

INSIDE = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "0.0.0.0",  # noqa: S104
    "224.0.0.1", "::1", "::", "fd00::1", "fe80::1", "ff02::1", "::ffff:10.0.0.1",
    "64:ff9b::a00:1", "2002:a00:1::1",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_our_own_network_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111"])
def test_the_internet_is(address):
    assert is_public(address)


@pytest.fixture
async def names(monkeypatch):
    """What names mean, instead of what the machine's resolver says."""
    found: dict[str, list[str]] = {}

    async def getaddrinfo(host, port, **_options):
        if host not in found:
            raise socket.gaierror("unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found[host]]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return found


@pytest.fixture
async def fetch():
    async with httpx.AsyncClient(transport=PublicOnly()) as client:
        yield client.get


async def test_what_leads_inside_is_not_asked(fetch, names):
    names.update(pbx=["10.0.0.1"], both=["8.8.8.8", "127.0.0.1"], plain=["8.8.8.8"])
    for url in ("https://pbx/x", "https://both/x", "http://plain/x"):
        with pytest.raises(NotPublic):
            await fetch(url)
    with pytest.raises(httpx.ConnectError):
        await fetch("https://nobody/x")


async def test_the_judged_address_is_asked_in_the_names_stead(fetch, names, monkeypatch):
    asked = []

    async def answer(_transport, request):
        asked.append((str(request.url), request.headers["host"], request.extensions))
        return httpx.Response(200)

    monkeypatch.setattr(public_only.httpx.AsyncHTTPTransport, "handle_async_request", answer)
    names["store.example"] = ["8.8.8.8"]
    names["six.example"] = ["2606:4700::1111"]
    await fetch("https://store.example/x?a=b")
    await fetch("https://six.example:444/")
    assert [(url, host) for url, host, _ in asked] == [
        ("https://8.8.8.8/x?a=b", "store.example"),
        ("https://[2606:4700::1111]:444/", "six.example:444"),
    ]
    assert [told["sni_hostname"] for *_, told in asked] == ["store.example", "six.example"]


async def test_a_redirection_inside_is_not_followed(names, monkeypatch):
    async def redirect(_transport, _request):
        return httpx.Response(302, headers={"Location": "https://inside.example/x"})

    monkeypatch.setattr(public_only.httpx.AsyncHTTPTransport, "handle_async_request", redirect)
    names.update({"store.example": ["8.8.8.8"], "inside.example": ["10.0.0.1"]})
    async with httpx.AsyncClient(transport=PublicOnly(), follow_redirects=True) as client:
        with pytest.raises(NotPublic):
            await client.get("https://store.example/x")


async def test_a_forged_webhook_has_us_fetch_nothing_inside(names):
    names["inside.example"] = ["169.254.169.254"]
    api = TelnyxApi(TelnyxCredentials.model_validate(GOOD))
    for url in ("https://inside.example/x", "http://inside.example/x", "file:///etc/passwd"):
        with pytest.raises(BadRequest):
            async with api.media(url):
                pass
        with pytest.raises(BadRequest):
            _ = [piece async for piece in api.recording("leg:x", url)]
    await api.aclose()
