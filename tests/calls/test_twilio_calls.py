"""Telephone calls from the webhook to the last stored row, over the real application."""

from __future__ import annotations

import asyncio
from xml.etree import ElementTree

import pytest

from calls.models import Call, Utterance
from config.asgi import application
from tenants.db import run_in_tenant
from tests.calls.conftest import staff_desk
from tests.calls.phone import QUICK, Phone, on_a_script

pytestmark = pytest.mark.django_db(transaction=True)

SID = "CA" + "1" * 32


@pytest.fixture(autouse=True)
def scripted(monkeypatch, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    on_a_script(monkeypatch)


@pytest.fixture
def desk(tenant):
    transcriber = {"provider": "embedded", "languages": ["es-MX"], "turns": QUICK}
    return staff_desk(tenant, "+525512340001", transcriber=transcriber)


@pytest.fixture
def token_of(ring):
    async def announce(desk, call_sid=SID):
        response = await ring(desk.number, call_sid)
        root = ElementTree.fromstring(response.content)  # noqa: S314 - our own answer
        return root.find("Connect/Stream/Parameter").get("value")

    return announce


@pytest.fixture
def dial(token_of, quiet):
    async def connect(desk, call_sid=SID):
        phone = Phone(application)
        phone.start(call_sid, await token_of(desk, call_sid))
        return phone

    return connect


async def rows(desk, model, **filters):
    return await run_in_tenant(desk.tenant.id, lambda: list(model.objects.filter(**filters)))


async def the_call(desk, call_sid=SID):
    (call,) = await rows(desk, Call, carrier_id=call_sid)
    return call


async def test_call_is_answered_and_stored(desk, dial, quiet):
    phone = await dial(desk)
    await phone.hears()
    phone.talk(400)
    phone.talk(400, aloud=False)
    await asyncio.sleep(1.0)
    phone.stop()
    assert (await phone.over())["code"] == 1000
    await quiet.writer.drained(5)
    call = await the_call(desk)
    assert (call.state, call.end_reason) == ("ended", "caller_hung_up")
    turns = await rows(desk, Utterance)
    assert [turn.role for turn in turns][:2] == ["agent", "caller"]
    assert turns[0].heard_text == "Hola."
    assert turns[1].text == "¿Cuánto cuesta el tour?"
