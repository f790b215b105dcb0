"""Twilio's signatures and documents, against the vectors of its own documentation."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from twilio.request_validator import HMAC_SHA256, RequestValidator

from calls.providers.carriers.port import StreamTarget
from calls.providers.carriers.twilio import signature, twiml

URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
PARAMS = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}
TOKEN = "12345"
VECTOR = "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def signed(url=URL, params=PARAMS, headers=None, token=TOKEN, **kwargs):
    headers = {"X-Twilio-Signature": VECTOR} if headers is None else headers
    return signature.is_signed(url=url, params=params, headers=headers, auth_token=token, **kwargs)


def test_documented_vector_is_accepted():
    assert signed()
    assert signature.sign(url=URL, params=PARAMS, auth_token="12345") == VECTOR


def test_port_may_be_written_out():
    assert signed(url="https://mycompany.com:443/myapp.php?foo=1&bar=2")


@pytest.mark.parametrize(
    "change",
    [
        {"url": URL + "&x=1"},
        {"url": URL.replace("https", "http")},
        {"params": {**PARAMS, "Digits": "12345"}},
        {"params": {**PARAMS, "Extra": ""}},
        {"token": "54321"},
        {"token": ""},
        {"headers": {}},
        {"headers": {"X-Twilio-Signature": ""}},
        {"headers": {"X-Twilio-Signature": VECTOR[:-1]}},
    ],
)
def test_anything_else_is_refused(change):
    assert not signed(**change)


def test_shared_key_signs_with_sha256_and_its_own_secret():
    header = "key=webhooks_sharedkey_1, algorithm=HMAC_SHA256"
    value = RequestValidator("secret").compute_signature(URL, PARAMS, HMAC_SHA256)
    headers = {"X-Twilio-Signature": value, "X-Twilio-Webhooks-Signature-Settings": header}
    assert signed(headers=headers, shared_keys={"webhooks_sharedkey_1": "secret"})
    assert not signed(headers=headers, shared_keys={"webhooks_sharedkey_2": "secret"})
    assert not signed(headers=headers, token="secret")


def test_unknown_algorithm_is_refused(caplog):
    headers = {
        "X-Twilio-Signature": VECTOR,
        "X-Twilio-Webhooks-Signature-Settings": "key=k,algorithm=HMAC_MD5",
    }
    assert not signed(headers=headers, shared_keys={"k": "12345"})
    assert "HMAC_MD5" in caplog.text


def document(text: str) -> ElementTree.Element:
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>')
    return ElementTree.fromstring(text)  # noqa: S314 - our own


def test_stream_is_connected_with_its_token_and_last_words():
    root = document(
        twiml.stream(
            StreamTarget("wss://h/ws", {"token": "a<b&c"}, signals_url="https://h/hooks"),
            last_words="Adiós & gracias",
            language="es",
        )
    )
    assert [verb.tag for verb in root] == ["Connect", "Say"]
    assert root[0].attrib == {"action": "https://h/hooks/after-stream?after=1", "method": "POST"}
    assert root[0][0].attrib == {
        "url": "wss://h/ws",
        "statusCallback": "https://h/hooks/stream",
        "statusCallbackMethod": "POST",
    }
    assert root[0][0][0].attrib == {"name": "token", "value": "a<b&c"}
    assert (root[1].text, root[1].get("language")) == ("Adiós & gracias", "es-MX")


def test_parameter_that_twilio_would_drop_is_refused():
    with pytest.raises(ValueError, match="500 is all"):
        twiml.stream(StreamTarget("", {"token": "x" * 495}))


def test_refusal_is_spoken_before_hanging_up():
    root = document(twiml.say_and_hang_up("Sorry", language="en-GB"))
    assert [verb.tag for verb in root] == ["Say", "Hangup"]
    assert root[0].get("language") == "en-GB"
    assert [verb.tag for verb in document(twiml.hang_up())] == ["Hangup"]


def test_transfer_dials_and_reports_back():
    root = document(twiml.dial("+525512345678", action_url="https://h/a", caller_id="+1555"))
    assert root[0].tag == "Dial"
    assert root[0].get("answerOnBridge") == "true"
    assert root[0].get("action") == "https://h/a"
    assert root[0].get("callerId") == "+1555"
    assert root[0][0].text == "+525512345678"
