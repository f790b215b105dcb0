from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.masking import HIDDEN, mask, mask_value

HEX = "0123456789abcdef"
KEYS = {
    "azure, 32 digits": HEX * 2,
    "azure, 84 characters": "9Xk3" * 19 + "AAAYACOG",
    "groq": "gsk_" + "aB3dE5gH7jK9" * 4 + "mN1p",
    "openai": "sk-" + "aB3dE5gH7jK9" * 4,
    "openai, project": "sk-proj-aB3d_E5gH-7jK9" + "xY" * 30,
    "anthropic": "sk-ant-api03-aB3d_E5gH-7jK9" + "xY" * 30 + "-QAAA",
    "elevenlabs": "sk_" + HEX * 3,
    "twilio account": "AC" + HEX * 2,
    "twilio key": "SK" + HEX * 2,
    "twilio token": "f0e1d2c3b4a5968778695a4b3c2d1e0f",
    "telnyx": "KEY0190ABCDEF0123456789ABCDEF012345_aB3dE5gH7jK9mN1pQ3rS5t",
    "andrea": "andrea_aB3dE5gH_" + "7jK9mN1pQ3" * 3,
    "json web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJlLXRleHQ",
}
CARRIED_BY = [
    "{}",
    "using key {} now",
    "Authorization: Bearer {}",
    "headers={{'xi-api-key': '{}'}}",
    '{{"api_key": "{}", "model": "x"}}',
    "GET wss://host/socket?token={}&x=1 failed",
    "line one\n{}\nline three",
]


@pytest.mark.parametrize("carrier", CARRIED_BY)
@pytest.mark.parametrize("vendor", KEYS)
def test_no_vendors_key_survives(vendor, carrier):
    key = KEYS[vendor]
    masked = mask(carrier.format(key))
    assert key not in masked
    assert key[-12:] not in masked
    assert HIDDEN in masked


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("password=correct-horse", "correct-horse"),
        ("Cookie: sessionid=abcdefghij; csrftoken=klmnopqrst", "klmnopqrst"),
        ("postgresql://app:s3cr3t@db/andrea is down", "s3cr3t"),
        ("X-Twilio-Signature: aBcD1234eFgH+/=", "aBcD1234eFgH"),
        ("paid with 4111 1111 1111 1111 today", "1111"),
        ("paid with 5500-0000-0000-0004", "0000"),
        ("card 378282246310005", "8282"),
        ("ana.lopez@example.com wrote", "lopez"),
        ("calling +34 600 111 222", "600"),
        ("from +525512345678 to +15005550006", "1234567"),
        ("her number is 600 11 12 22.", "11 12"),
        ("call (555) 123-4567 back", "123-45"),
    ],
)
def test_personal_data_and_passwords_are_hidden(text, hidden):
    assert hidden not in mask(text)


@pytest.mark.parametrize(
    "text",
    [
        "call 123e4567-e89b-12d3-a456-426614174000 answered",
        "call 12345678-1234-1234-1234-123456789012 answered",
        "CallSid=CA" + HEX * 2,
        "at 2026-11-21 09:27:57.123456 and 2026-11-21T09:27:57Z",
        "first_token=350.25 keyterms=hola,adios max_tokens: 4096 key=5",
        "127.0.0.1:54321 took 1795253277.277 ms, 12345678 bytes",
        "192.168.100.200 is here",
        "ValueError: invalid literal for int() with base 10: 'x'",
    ],
)
def test_what_is_harmless_stays_readable(text):
    assert mask(text) == text


def test_a_number_keeps_enough_to_be_recognised():
    assert mask("from +525512345678") == "from +52***78"


def test_a_value_is_hidden_by_its_name_alone():
    assert mask_value("api_key", "short") == HIDDEN
    assert mask_value("headers", {"Authorization": "x y", "Accept": "*/*"}) == {
        "Authorization": HIDDEN, "Accept": "*/*",
    }  # fmt: skip
    assert mask_value("tokens", [1, "two"]) == [1, "two"]
    assert mask_value("error", ValueError("of ana@example.com")) == "of a***@example.com"


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_masking_never_joins_or_splits_lines(text):
    assert mask(text).count("\n") == text.count("\n")
