"""Two tenants, each with a published agent behind a telephone number."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import AsyncClient, Client

from agents.models import Agent, AgentVersion, KnowledgeEntry
from agents.profiles import Language
from agents.selectors import draft_version
from agents.services import agent_create, version_publish, version_save
from calls.carriers import answering
from calls.carriers.installation import installation_keys
from calls.line import live as live_module
from calls.models import Number
from calls.providers.carriers.twilio.signature import sign
from tenants.db import tenant_transaction
from tenants.middleware import OPERATOR_TENANT
from tenants.models import Tenant, User
from tests.calls.campaigning import line as line
from tests.calls.campaigning import sent as sent
from tests.calls.servers import lasting as lasting
from tests.calls.servers import serve as serve

INCOMING = "/api/v1/twilio/incoming-call"


@dataclass(frozen=True)
class Desk:
    """A tenant's agent and the number it answers."""

    tenant: Tenant
    agent: Agent
    version: AgentVersion
    number: str


HELLO: dict[Language, str] = {"es": "Hola.", "en": "Hello."}


def staff_desk(
    tenant: Tenant,
    number: str,
    *,
    language: Language = "es",
    slug: str = "andrea",
    also: tuple[Language, ...] = (),
    greeting: str = "",
    only: str = "",
    **profile: Any,
) -> Desk:
    """Publish an agent with a number. `profile` changes all channels, or the `only` one."""
    with tenant_transaction(tenant.id):
        agent = agent_create(
            tenant=tenant, actor="tests", name="Andrea", slug=slug, language=language
        )
        draft = draft_version(agent)
        assert draft is not None
        profiles = {
            channel: {**settings, **profile} if only in ("", channel) else settings
            for channel, settings in draft.profiles.items()
        }
        version_save(
            version=draft,
            actor="tests",
            prompt="Be kind.",
            languages=[language, *also],
            greeting={code: greeting or HELLO[code] for code in (language, *also)},
            profiles=profiles,
        )
        KnowledgeEntry.objects.create(
            version=draft,
            language=language,
            question="¿Cuánto cuesta el tour?",
            answer="El tour cuesta cien pesos.",
            tags=["tour"],
        )
        version = version_publish(version=draft, actor="tests")
        Number.objects.create(e164=number, agent=agent)
    return Desk(tenant, agent, version, number)


@pytest.fixture
def desk(tenant: Tenant) -> Desk:
    return staff_desk(tenant, "+525512340001")


@pytest.fixture
def other_desk(other_tenant: Tenant) -> Desk:
    return staff_desk(other_tenant, "+14155550002", language="en")


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> live_module.LiveCalls:
    """The process's registry of calls, as new."""
    fresh = live_module.live
    monkeypatch.setattr(fresh, "draining", False)
    monkeypatch.setattr(fresh, "limit", 400)
    return fresh


@pytest.fixture
async def quiet(live: live_module.LiveCalls) -> AsyncIterator[live_module.LiveCalls]:
    """After the test nothing may be left: no call, no unwritten row, no task."""
    yield live
    assert await live.writer.drained(5) == 0
    assert len(live) == 0
    if live._background:  # what is done behind an answer ends by itself
        await asyncio.wait(live._background, timeout=5)
    await asyncio.sleep(0)
    left = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
    assert {str(task.get_coro()) for task in left} == set()


def ring_form(to: str, call_sid: str = "CA" + "1" * 32, **fields: str) -> dict[str, str]:
    """What Twilio posts when somebody calls."""
    return {
        "CallSid": call_sid,
        "AccountSid": "AC" + "0" * 32,
        "From": "+525598765432",
        "To": to,
        "CallStatus": "ringing",
        "Direction": "inbound",
        "ApiVersion": "2010-04-01",
        **fields,
    }


def sign_form(path: str, form: dict[str, str], base: str, token: str | None = None) -> str:
    """Twilio's signature for a form posted to `path` of the public address."""
    return sign(
        url=base + path, params=form, auth_token=token or installation_keys("twilio")["auth_token"]
    )


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The calls whose greeting was prepared while they rang, instead of doing it."""
    calls: list[Any] = []

    async def note(tenant_id: int, public_id: Any) -> None:
        calls.append((tenant_id, public_id))

    monkeypatch.setattr(answering, "prepare_greeting", note)
    return calls


@pytest.fixture
def post(async_client: AsyncClient, settings: Any, prepared: list[Any]) -> Callable[..., Any]:
    """Post a form as Twilio does: `await post(path, form)`; `signature=` overrides."""
    settings.PUBLIC_BASE_URL = "https://andrea.example"

    async def send(path: str, form: dict[str, str], signature: str | None = None) -> Any:
        value = sign_form(path, form, "https://andrea.example") if signature is None else signature
        headers = {"X-Twilio-Signature": value} if value else {}
        return await async_client.post(path, form, headers=headers)

    return send


@pytest.fixture
def ring(post: Callable[..., Any]) -> Callable[..., Any]:
    """Announce a call: `await ring(desk.number, "CA…")`."""

    async def announce(to: str, call_sid: str = "CA" + "1" * 32, **fields: str) -> Any:
        return await post(INCOMING, ring_form(to, call_sid, **fields))

    return announce


@pytest.fixture
def office(login: Callable[..., Client], operator: User, tenant: Tenant) -> Client:
    """An operator in the back office, at work in `tenant`."""
    client = login(operator)
    session = client.session
    session[OPERATOR_TENANT] = tenant.pk
    session.save()
    return client
