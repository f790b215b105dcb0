"""What a page may offer, which addresses are tried, and what opens a TURN server to it."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from calls.providers.carriers.errors import Fault, MediaFault
from calls.providers.carriers.webrtc.ice import IceOptions, may_try
from calls.providers.carriers.webrtc.offers import MOST_BYTES, MOST_CANDIDATES, checked

OFFER = [
    "v=0",
    "o=- 1 2 IN IP4 127.0.0.1",
    "s=-",
    "t=0 0",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "a=ice-ufrag:abcd",
    "a=ice-pwd:0123456789012345678901",
    "a=fingerprint:sha-256 AA:BB",
]


def candidate(address: str, port: int = 50000, transport: str = "udp") -> str:
    return f"candidate:1 1 {transport} 2130706431 {address} {port} typ host"


def offer(*lines: str) -> str:
    return "\r\n".join([*OFFER, *lines, ""])


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "192.168.1.9", "172.16.0.1", "169.254.169.254", "127.0.0.1", "100.64.0.1",
     "::1", "fe80::1", "fd00::1"],
)  # fmt: skip
def test_private_addresses_are_tried_only_where_that_is_allowed(address):
    assert not may_try(candidate(address), private=False)
    assert may_try(candidate(address), private=True)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888"])
def test_public_addresses_are_tried(address):
    assert may_try(candidate(address), private=False)


@pytest.mark.parametrize(
    "line",
    [
        candidate("5b2f1d9e.local"),
        candidate("internal.example.com"),
        candidate("8.8.8.8", transport="tcp"),
        candidate("8.8.8.8", port=53),
        candidate("8.8.8.8", port=70000),
        candidate("224.0.0.1"),
        candidate("0.0.0.0"),  # noqa: S104
        "candidate:1 1 udp",
        "candidate:1 1 udp 1 8.8.8.8 x typ host",
        "",
    ],
)
def test_what_is_no_address_to_try_is_passed_over(line):
    assert not may_try(line, private=True)


def test_only_candidates_that_may_be_tried_are_left_in_an_offer_and_their_end_is_not_told():
    lines = (f"a={candidate('8.8.8.8')}", f"a={candidate('10.0.0.1')}", "a=end-of-candidates")
    found = checked(offer(*lines), private=False)
    assert "8.8.8.8" in found
    assert "10.0.0.1" not in found
    assert "end-of-candidates" not in found


def test_only_so_many_candidates_are_looked_at():
    lines = (f"a={candidate('8.8.8.8', 40000 + n)}" for n in range(MOST_CANDIDATES * 4))
    assert checked(offer(*lines), private=False).count("a=candidate") == MOST_CANDIDATES


@pytest.mark.parametrize(
    "sdp",
    [
        None,
        7,
        {"sdp": "x"},
        "",
        "x" * (MOST_BYTES + 1),
        "\n" * 1000,
        "hello",
        offer("m=video 9 UDP/TLS/RTP/SAVPF 96"),
        offer("m=audio 9 UDP/TLS/RTP/SAVPF 111"),
        "\r\n".join(OFFER).replace("m=audio", "m=video"),
        "\r\n".join(OFFER).replace("a=ice-pwd", "a=x"),
        "\r\n".join(OFFER).replace("a=fingerprint", "a=x"),
    ],
)
def test_anything_but_one_section_of_sound_is_refused(sdp):
    with pytest.raises(MediaFault) as caught:
        checked(sdp, private=False)
    assert caught.value.fault is Fault.MALFORMED


def test_turn_credentials_say_until_when_and_are_signed_as_coturn_expects():
    ice = IceOptions(
        stun_urls=("stun:turn.example.com:3478",),
        turn_urls=("turn:turn.example.com:3478", "turns:turn.example.com:5349?transport=tcp"),
        turn_secret="north",
        turn_seconds=600,
    )
    stun, turn = ice.servers("agent-1", now=1_700_000_000.9)
    assert stun == {"urls": ["stun:turn.example.com:3478"]}
    assert turn["urls"] == list(ice.turn_urls)
    assert turn["username"] == "1700000600:agent-1"
    digest = hmac.new(b"north", b"1700000600:agent-1", hashlib.sha1).digest()
    assert turn["credential"] == base64.b64encode(digest).decode()


def test_installation_without_servers_has_none_to_tell():
    assert IceOptions().servers("agent-1", now=0) == []
