from __future__ import annotations

import time
from urllib.parse import unquote

import pytest
from hypothesis import assume, given
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
    "deepgram, 40 digits": HEX * 2 + "89abcdef",
    "odoo": "f0e1d2c3b4a5968778695a4b3c2d1e0f01234567",
    "token_hex(32)": HEX * 4,
    "token_urlsafe(64)": "aB3d-E5gH_7jK9" * 6 + "mN",
    "elevenlabs, old": "f0e1d2c3b4a5968778695a4b3c2d1e0f",
    "brave": "BSAaB3dE5gH7jK9mN1pQ3rS5tU7vW9x",
    "fernet": "aB3dE5gH7jK9mN1pQ3rS5tU7vW9xY1zA3bC5dE7f-_0=",
    "fernet message": "gAAAAABl" + "aB3dE5gH7-K9_" * 8 + "==",
    "google": "AIzaSyaB3dE5gH7jK9mN1pQ3rS5tU7vW9xY1zA3",
    "amazon": "AKIAIOSFODNN7EXAMPLE",
    "github": "ghp_aB3dE5gH7jK9mN1pQ3rS5tU7vW9xY1zA3bC5",
    "huggingface": "hf_aB3dE5gH7jK9mN1pQ3rS5tU7vW9xY1zA",
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
    "form key%3D{}%26next%3D1",
    "query From=%2B1&api_key={}&x=1",
    r"{{\"value\": \"{}\", \"n\": 1}}",
    "said 'line one\\n{}\\nline three'",
    "RuntimeError('401 for {}')",
]
NUMBERS = [
    "+525512345678", "+52 55 1234 5678", "+52.55.1234.5678", "+52-55-1234-5678",
    "+52 (55) 1234-5678", "+52 55.1234.5678", "5512345678", "55 1234 5678", "55.1234.5678",
    "55.1234.5678.90", "55-1234-5678", "(55) 1234-5678", "(55)1234.5678", "(55) 1234 5678",
    "55\u00a01234\u00a05678", "55\u20111234\u20115678", "+34 91 123 45 67", "+34911234567",
    "91.123.45.67.89", "600 11 12 22", "600.111.222", "+1 (555) 123-4567", "555.123.4567",
    "+1.5551234567", "+33.6.12.34.56.78", "06.12.34.56.78", "0034 600 111 222",
    "%2B525512345678", "%2B52%2055%201234%205678", "%2B52+55+1234+5678", "%252B525512345678",
    "%2B1%20%28555%29%20123-4567", "55%201234%205678", "600111222 600333444",
]  # fmt: skip
NUMBERS_CARRIED_BY = [
    "{}",
    "call from {} ended",
    "({})",
    "{}.",
    "From={}&To=x",
    "to {}, after 3 tries",
    '{{"from": "{}"}}',
    r"{{\"from\": \"{}\"}}",
    "tel:{};ext=4",
    "https://host/calls?From={}",
    "Body=hi%20From%3D{}%26x%3D1",
    "said 'one\\n{}\\ntwo'",
    "recording_{}_left.wav",
    "whatsapp:{}",
]


@pytest.mark.parametrize("carrier", CARRIED_BY)
@pytest.mark.parametrize("vendor", KEYS)
def test_no_vendors_key_survives(vendor, carrier):
    key = KEYS[vendor]
    masked = mask(carrier.format(key))
    assert key not in masked
    assert key[-12:] not in masked
    assert HIDDEN in masked


@pytest.mark.parametrize("carrier", NUMBERS_CARRIED_BY)
@pytest.mark.parametrize("number", NUMBERS)
def test_no_telephone_number_survives(number, carrier):
    masked = mask(carrier.format(number))
    assert HIDDEN in masked
    assert number not in masked
    digits = "".join(character for character in unquote(unquote(number)) if character.isdigit())
    assert digits[3:-3] not in "".join(filter(str.isdigit, masked))


@given(
    groups=st.lists(st.text("0123456789", min_size=2, max_size=4), min_size=3, max_size=4),
    separator=st.sampled_from([" ", "-", ".", "\u00a0", "%20"]),
    prefix=st.sampled_from(["+52", "%2B52", "(55) ", ""]),
)
def test_a_number_is_hidden_however_it_is_grouped(groups, separator, prefix):
    number = separator.join(["55", "1234", *groups][:4])
    assume(sum(map(str.isdigit, number.replace("%20", " "))) <= 13)
    assert HIDDEN in mask(f"from {prefix}{number} at noon")


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("pass: hunter2", "hunter2"),
        ("pass: x", ": x"),
        ("pwd=abc", "abc"),
        ("PWD=12345678;Server=db", "12345678"),
        ("password=1234", "1234"),
        ('password="correct horse battery"', "horse"),
        ("passphrase: 'correct horse battery'", "horse"),
        ("contraseña: secreta", "secreta"),
        ('{"a": "{\\"password\\": \\"correct horse\\"}"}', "horse"),
        ("password%3Dhunter2%26x%3D1", "hunter2"),
        ("%22api_key%22%3A%22abcdefgh%22", "abcdefgh"),
        ("host=db user=app password='s3c r3t' dbname=x", "r3t"),
        ("postgresql://app:two words@db/andrea is down", "words"),
        ("postgresql://app:p@ss@db/andrea is down", "p@ss"),
        ("postgresql://app:p%40s%2Fs@db/andrea is down", "s%2Fs"),
        ("postgresql://app:a/b@db/andrea is down", "a/b"),
        ("redis://:s3cr3t@cache:6379/0", "s3cr3t"),
        ("smtp://user@example.com:s3cr3t@mail:587", "s3cr3t"),
        ("https://user:s3cr3t@host/x", "s3cr3t"),
        ("Authorization: Basic YW5hOnNlY3JldG8=", "YW5hOnNlY3JldG8"),
        ("sent Basic YW5hOnNlY3JldG8= with it", "YW5hOnNlY3JldG8"),
        ("Authorization%3A%20Bearer%20abcdefghij", "abcdefghij"),
        ("ana.lopez%40example.com wrote", "lopez"),
        ("ana.lopez%2Bvip%40example.com wrote", "lopez"),
        ("mailto:ana.lopez@sub.example.co.uk", "lopez"),
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
        "host 10.0.0.12 runs 3.11.14, peer 10.0.0.12:5432, Chrome/131.0.6778.204",
        "scores 0.123456789 1.25 -0.5 in 120.5 130.2 99.1 ms, +1.5 %",
        "attempt 3 of 5, 160 bytes, 8000 Hz, 16 kHz, 50%",
        "at 21/Nov/2026:12:00:00 +0000 and 21-11-2026 09:27:57 and 2026-11-21T09%3A27%3A57Z",
        "recording 20261121-092757.wav and 2026-11-21_09-27-57",
        "2026-11-21T09:27:57.123456+00:00",
        "at commit 8ad57f7, f76edfa12 and 123456789a",
        "image sha256:" + HEX * 4,
        "redis://localhost:6379/0 refused, http://host:8000/x for user@host",
        "a token was refused; basic authentication is missing; bypass: true",
        "1 passed: 2 failed; pass=3; compass=north; tokens: 12, max_tokens=4096",
        "12345678901234567890 and 1795253277277123456 ns",
        "1.3.6.1.4.1.311.21.20",
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
    assert mask_value("password", 12345678) == HIDDEN
    assert mask_value("first_token", 350.25) == 350.25
    assert mask_value("error", ValueError("of ana@example.com")) == "of a***@example.com"


def test_a_number_is_hidden_as_a_key_of_a_mapping_and_as_an_integer():
    assert mask_value("calls", {"+525512345678": 1}) == {"+52***78": 1}
    assert mask_value("phone", 525512345678) == "52***78"
    assert mask_value("from_number", 525512345678) == "52***78"
    assert mask_value("bytes", 525512345678) == 525512345678


@pytest.mark.parametrize(
    "text",
    ["9" * 50_000, "a." * 25_000, "eyJ" * 20_000, "(1) " * 12_000,
     "postgresql://a:" + "b " * 25_000, 'pass: "' + "x" * 50_000],
)  # fmt: skip
def test_no_text_takes_long(text):
    started = time.process_time()
    mask(text)
    assert time.process_time() - started < 1.0


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_masking_never_joins_or_splits_lines(text):
    assert mask(text).count("\n") == text.count("\n")
