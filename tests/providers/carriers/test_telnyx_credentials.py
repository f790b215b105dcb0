"""What may be entered as credentials of Telnyx, and what is said about the rest."""

from __future__ import annotations

import base64

import pytest
from pydantic import ValidationError

from calls.providers.carriers.telnyx.credentials import TelnyxCredentials

GOOD = {
    "api_key": "KEY0123_abc",
    "public_key": base64.b64encode(bytes(32)).decode(),
    "connection_id": "1234567890",
}


def test_good_ones_are_taken_and_trimmed():
    found = TelnyxCredentials.model_validate({**GOOD, "connection_id": " 1234567890 "})
    assert found.connection_id == "1234567890"
    assert found.public_key_bytes == bytes(32)


def test_key_is_never_shown():
    found = TelnyxCredentials.model_validate(GOOD)
    assert "KEY0123" not in repr(found) + str(found) + found.model_dump_json()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"api_key": ""}, "is empty"),
        ({"api_key": "KEY 1"}, "copy it again"),
        ({"api_key": "KEYñ"}, "copy it again"),
        ({"public_key": "***"}, "no base64"),
        ({"public_key": base64.b64encode(bytes(31)).decode()}, "31 bytes long"),
        ({"connection_id": "my app"}, "is the number of"),
        ({"connection_id": ""}, "is the number of"),
        ({"acount": "x"}, "not permitted"),
    ],
)
def test_wrong_ones_are_refused_in_words_and_not_repeated(change, why):
    with pytest.raises(ValidationError, match=why) as caught:
        TelnyxCredentials.model_validate({**GOOD, **change})
    assert "KEY0123" not in str(caught.value)
