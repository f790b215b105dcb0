"""The greeting is prepared while the phone rings, and the carrier's answer never waits for it."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any
from urllib.parse import urlencode

import pytest

from calls.carriers import answering
from config.asgi import application
from tests.calls.conftest import INCOMING, ring_form, sign_form
from tests.calls.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


async def answer(desk, sent: list[str]) -> None:
    """Post an announcement as a server does, noting when the answer was given to it whole."""
    form = ring_form(desk.number)
    headers = {
        "host": "andrea.example",
        "content-type": "application/x-www-form-urlencoded",
        "x-twilio-signature": sign_form(INCOMING, form, "https://andrea.example"),
    }
    requests: asyncio.Queue[Any] = asyncio.Queue()
    requests.put_nowait({"type": "http.request", "body": urlencode(form).encode()})

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            sent.append("answered")

    scope: Any = {
        "type": "http", "method": "POST", "path": INCOMING, "raw_path": INCOMING.encode(),
        "query_string": b"", "http_version": "1.1", "scheme": "https",
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
    }  # fmt: skip
    await application(scope, requests.get, send)


@pytest.fixture
def public(settings):
    settings.PUBLIC_BASE_URL = "https://andrea.example"
    settings.ALLOWED_HOSTS = ["andrea.example"]


@pytest.mark.parametrize("work", ["waits", "computes"])
async def test_answer_is_out_before_the_greeting_is_begun(desk, public, quiet, monkeypatch, work):
    told: list[str] = []

    async def slow(_tenant_id: int, _public_id: Any) -> None:
        told.append("preparing")
        if work == "waits":
            await asyncio.sleep(0.3)
        else:
            hashlib.pbkdf2_hmac("sha256", b"holds", b"the loop", 300_000)
        told.append("prepared")

    monkeypatch.setattr(answering, "prepare_greeting", slow)
    await answer(desk, told)
    await until(lambda: told[-1:] == ["prepared"])
    assert told == ["answered", "preparing", "prepared"]


async def test_answer_to_a_refused_call_prepares_nothing(desk, public, live, prepared):
    live.draining = True
    told: list[str] = []
    await answer(desk, told)
    await asyncio.sleep(0)
    assert (told, prepared) == (["answered"], [])
