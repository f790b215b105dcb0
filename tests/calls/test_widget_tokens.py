"""Tokens for calls from a tenant's own site: who gets one, what it opens, and what is noted."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from agents.services.agents import agent_create
from calls.carriers.tokens import WIDGET_SECONDS, read_widget_token
from calls.models import Call
from config.asgi import application
from tenants.db import run_in_tenant, run_unscoped, tenant_transaction
from tenants.drf import TenantRateThrottle
from tenants.models import AuditEntry
from tests.calls.phone import Phone, on_a_script

PATH = "/api/v1/widget-tokens/"


def ask(client, agent, key="", **more):
    headers = {"HTTP_AUTHORIZATION": f"Bearer {key}"} if key else {}
    body = {"agent": str(agent), **more}
    return client.post(PATH, body, content_type="application/json", **headers)


def noted(tenant):
    with tenant_transaction(tenant.id):
        return list(AuditEntry.objects.filter(action="widget_token.issue"))


@pytest.mark.django_db
def test_key_with_the_scope_gets_a_token_for_the_agent(desk, make_api_key, client):
    answer = ask(client, desk.agent.public_id, make_api_key(desk.tenant, ["agents.test"]))
    assert (answer.status_code, answer["Cache-Control"]) == (201, "no-store")
    found = answer.json()
    claim = read_widget_token(found["token"])
    assert (claim.agent, str(claim.call)) == (desk.agent.public_id, found["call"])
    left = parse_datetime(found["expires_at"]) - timezone.now()
    assert timedelta(seconds=WIDGET_SECONDS - 30) < left <= timedelta(seconds=WIDGET_SECONDS)


@pytest.mark.django_db
def test_each_token_is_noted_with_its_call_and_without_itself(desk, login, staff):
    found = ask(login(staff), desk.agent.public_id).json()
    (entry,) = noted(desk.tenant)
    assert (entry.actor_id, entry.changes) == (staff.pk, {"call": found["call"]})


@pytest.mark.django_db
def test_wish_for_a_language_is_part_of_the_address(desk, login, staff):
    client = login(staff)
    assert (
        ask(client, desk.agent.public_id, language="en-GB")
        .json()["socket_path"]
        .endswith("&language=en-GB")
    )
    refused = ask(client, desk.agent.public_id, language="en&token=x")
    assert (refused.status_code, list(refused.json())) == (400, ["language"])


@pytest.mark.django_db
def test_nobody_and_nobody_without_the_scope_gets_one(desk, make_api_key, client):
    assert ask(client, desk.agent.public_id).status_code == 401
    key = make_api_key(desk.tenant, ["calls.view"])
    assert ask(client, desk.agent.public_id, key).status_code == 403
    assert noted(desk.tenant) == []


@pytest.mark.django_db
def test_foreign_and_unknown_agents_are_not_found(desk, other_desk, login, outsider):
    client = login(outsider)
    assert ask(client, desk.agent.public_id).status_code == 404
    assert ask(client, uuid.uuid4()).status_code == 404
    assert ask(client, "no-uuid").status_code == 400
    assert noted(desk.tenant) == noted(other_desk.tenant) == []


@pytest.mark.django_db
def test_agents_that_nobody_can_call_get_none(desk, login, staff):
    client = login(staff)
    with tenant_transaction(desk.tenant.id):
        draft = agent_create(
            tenant=desk.tenant, actor="tests", name="Draft", slug="draft", language="en"
        )
    assert ask(client, draft.public_id).status_code == 409
    with tenant_transaction(desk.tenant.id):
        desk.agent.is_active = False
        desk.agent.save()
    assert ask(client, desk.agent.public_id).status_code == 404
    assert noted(desk.tenant) == []


@pytest.mark.django_db
def test_no_more_tokens_than_the_rate_allows(desk, login, staff, monkeypatch):
    monkeypatch.setattr(TenantRateThrottle, "THROTTLE_RATES", {"tenant": "2/min"})
    client = login(staff)
    answers = [ask(client, desk.agent.public_id).status_code for _ in range(3)]
    assert answers == [201, 201, 429]
    assert len(noted(desk.tenant)) == 2


@pytest.mark.django_db(transaction=True)
async def test_the_address_that_is_given_opens_one_call(
    desk, quiet, login, staff, monkeypatch, settings, tmp_path
):
    settings.MEDIA_ROOT = tmp_path
    on_a_script(monkeypatch)
    given = await run_unscoped(lambda: ask(login(staff), desk.agent.public_id).json())
    path, _mark, query = given["socket_path"].partition("?")
    for code in (1000, 4401):
        phone = Phone(application, path, query, ((b"origin", b"https://customer.example"),))
        phone.socket.put({"type": "start", "sample_rate": 16000})
        if code == 1000:
            await phone.until(lambda message: message["type"] == "ready")
            phone.socket.put({"type": "hangup"})
        assert (await phone.over())["code"] == code
    calls = await run_in_tenant(desk.tenant.id, lambda: list(Call.objects.all()))
    assert [str(call.public_id) for call in calls] == [given["call"]]
