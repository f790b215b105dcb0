"""What an operator may enter for Twilio, and what is said of the rest."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from calls.providers.carriers.twilio.credentials import TwilioCredentials

SID, KEY, TOKEN = "AC" + "0" * 32, "SK" + "a" * 32, "t" * 32


def entered(**changes: str) -> TwilioCredentials:
    return TwilioCredentials.model_validate({"account_sid": SID, "auth_token": TOKEN, **changes})


def test_account_signs_in_by_its_token_or_by_a_key():
    assert entered().user_and_password == (SID, TOKEN)
    key = entered(api_key_sid=KEY, api_key_secret="secret")
    assert key.user_and_password == (KEY, "secret")


def test_region_has_a_host_of_its_own():
    assert entered().base_url == "https://api.twilio.com"
    assert entered(edge="dublin", region="ie1").base_url == "https://api.dublin.ie1.twilio.com"


def test_white_space_around_a_sid_is_forgiven():
    assert entered(account_sid=f" {SID}\n").account_sid == SID


@pytest.mark.parametrize(
    "changes",
    [
        {"account_sid": ""},
        {"account_sid": "AC" + "g" * 32},
        {"account_sid": f"{SID}/../.."},
        {"account_sid": "SK" + "0" * 32},
        {"auth_token": ""},
        {"auth_token": "short"},
        {"auth_token": "t" * 31 + "\n"},
        {"auth_token": "t" * 31 + "ñ"},
        {"api_key_sid": KEY},
        {"api_key_secret": "secret"},
        {"edge": "dublin"},
        {"region": "ie1"},
        {"edge": "evil.example/", "region": "x"},
        {"edge": "a@b", "region": "x"},
        {"unknown": "field"},
    ],
)
def test_anything_else_is_refused_without_repeating_it(changes):
    with pytest.raises(ValidationError) as caught:
        entered(**changes)
    assert TOKEN not in str(caught.value)


def test_secrets_are_never_shown():
    shown = repr(entered(api_key_sid=KEY, api_key_secret="hidden"))
    assert TOKEN not in shown
    assert "hidden" not in shown
