"""What is accepted as credentials of a 3CX system, and what is said about the rest."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from calls.providers.carriers.threecx.credentials import ThreeCxCredentials


def credentials(**changes: str) -> ThreeCxCredentials:
    fields = {"base_url": "https://pbx.example.com:5001", "client_id": "ai", "client_secret": "k"}
    return ThreeCxCredentials(**{**fields, **changes})


def test_address_keeps_its_port_and_loses_its_slash():
    found = credentials(base_url=" https://pbx.example.com:5001/ ")
    assert found.base_url == "https://pbx.example.com:5001"
    assert found.events_url == "wss://pbx.example.com:5001/callcontrol/ws"
    assert found.host == "pbx.example.com:5001"


@pytest.mark.parametrize("local", ["http://127.0.0.1:5090", "http://localhost", "http://[::1]:8"])
def test_a_stand_in_on_this_machine_needs_no_encryption(local):
    assert credentials(base_url=local).events_url.startswith("ws://")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"base_url": "http://pbx.example.com"}, "https, please"),
        ({"base_url": "pbx.example.com"}, "is no address"),
        ({"base_url": "https://pbx.example.com/webclient"}, "without a path"),
        ({"base_url": "https://me:pw@pbx.example.com"}, "without a path, a name or a password"),
        ({"base_url": "https://pbx.example.com:port"}, "no sensible port"),
        ({"client_id": "../xapi"}, "is no DN"),
        ({"client_id": ""}, "is no DN"),
        ({"overflow": "8 00"}, "is no DN"),
        ({"client_secret": "  "}, "the API key is empty"),
    ],
)
def test_what_is_wrong_is_said(wrong, why):
    with pytest.raises(ValidationError, match=why):
        credentials(**wrong)


def test_the_secret_shows_nowhere():
    assert "key-0815" not in repr(credentials(client_secret="key-0815"))
    for wrong in ({"overflow": "a b"}, {"more": "x"}, {"base_url": 1}):
        with pytest.raises(ValidationError) as caught:
            credentials(client_secret="key-0815", **wrong)
        assert "key-0815" not in str(caught.value)
    with pytest.raises(ValidationError) as caught:
        ThreeCxCredentials.model_validate({"client_id": "ai", "client_secret": "key-0815"})
    assert "0815" not in str(caught.value)
