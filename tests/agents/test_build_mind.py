"""The mind of a call, composed from a published version, against the real database."""

from __future__ import annotations

import asyncio

import pytest

from agents.brain.events import AgentSaid, CallerSaid, HangUp, TextDelta, ToolFinished
from agents.profiles import parse_profile
from agents.selectors import agent_by_slug, published_version
from agents.services import seed_demo_agents
from agents.services.mind import MindCredentials, build_mind, check_model, close_clients
from tenants.db import run_in_tenant
from tenants.models import AuditEntry
from tests.peers.groq import GroqServer, running, sensible, too_many

pytestmark = pytest.mark.django_db(transaction=True)


async def mind_of(tenant, slug, **kwargs):
    def prepare():
        seed_demo_agents(tenant)
        version = published_version(agent_by_slug(slug))
        return build_mind(
            version, version.profile("twilio"), credentials=MindCredentials(), **kwargs
        )

    return await run_in_tenant(tenant.id, prepare)


async def talk(mind, *turns):
    """Let the caller say these turns; return the agent's answers and all other events."""
    items, answers, others = [], [], []
    committed = asyncio.Event()
    committed.set()
    for said in turns:
        items.append(CallerSaid(said))
        events = [event async for event in mind.reply(items, committed)]
        text = "".join(e.text for e in events if isinstance(e, TextDelta))
        others += [e for e in events if not isinstance(e, TextDelta)]
        answers.append(text)
        items.append(AgentSaid(text))
    return answers, others


async def test_without_a_key_the_embedded_brain_answers_from_knowledge(tenant):
    mind = await mind_of(tenant, "grace")
    answers, _ = await talk(mind, "hello how much is it")
    assert "ninety dollars" in answers[0]
    assert mind.model_name == "embedded"


async def test_a_booking_is_taken_down_over_several_turns_and_noted(tenant):
    mind = await mind_of(tenant, "grace")
    answers, events = await talk(
        mind,
        "i want to book a tour",
        "four people",
        "on the fifth of march",
        "my name is anna miller",
        "five five five one two",
        "three four five six seven",
        "yes",
        "yes that's right",
    )
    assert "For how many people?" in answers[0]
    assert "5 5 5, 1 2. Please go on" in answers[4]
    assert "5 5 5, 1 2 3, 4 5 6 7. Is that correct?" in answers[5]
    assert "March 5; name, Anna Miller" in answers[6]
    assert answers[7].startswith("Thank you. Our team will call you today")
    [finished] = [event for event in events if isinstance(event, ToolFinished)]
    noted = finished.result["noted"]
    assert noted["people"] == "4"
    assert noted["phone"] == "5551234567"
    assert noted["date"].endswith("-03-05")


async def test_a_spanish_caller_is_answered_and_the_call_is_ended(tenant):
    mind = await mind_of(tenant, "andrea")
    answers, events = await talk(mind, "buenos días, ¿cuánto cuesta?", "no, gracias, adiós")
    assert "setecientos pesos" in answers[0]
    assert events == [HangUp()]


@pytest.mark.parametrize(
    ("slug", "booking", "question", "answer", "again"),
    [
        (
            "andrea",
            "quiero reservar un tour",
            "¿Cuánto cuesta?",
            "pesos",
            "¿Para cuántas personas?",
        ),
        ("grace", "i want to book a tour", "how much is it", "dollars", "For how many people?"),
    ],
)
async def test_a_question_during_a_booking_is_answered_and_the_booking_goes_on(
    tenant, slug, booking, question, answer, again
):
    mind = await mind_of(tenant, slug)
    answers, _ = await talk(mind, booking, question)
    assert again in answers[0]
    assert answer in answers[1]
    assert answers[1].endswith(again)


async def test_the_observer_is_told_what_was_found_and_who_answered(tenant):
    seen = []
    mind = await mind_of(tenant, "grace", observer=lambda name, data: seen.append((name, data)))
    await talk(mind, "opening hours")
    names = [name for name, _ in seen]
    assert names == ["knowledge_found", "model_used"]
    assert seen[1][1]["provider"] == "embedded"


async def test_a_profile_that_wishes_the_embedded_brain_gets_only_that(tenant):
    def prepare():
        seed_demo_agents(tenant)
        version = published_version(agent_by_slug("grace"))
        profile = parse_profile({"model": {"provider": "embedded"}})
        return build_mind(version, profile, credentials=MindCredentials(groq_key="gsk_test"))

    mind = await run_in_tenant(tenant.id, prepare)
    assert mind.model_name == "embedded"


async def test_with_a_key_groq_thinks_first(tenant):
    def prepare():
        seed_demo_agents(tenant)
        version = published_version(agent_by_slug("grace"))
        return build_mind(
            version, version.profile("browser"), credentials=MindCredentials(groq_key="gsk_test")
        )

    assert (await run_in_tenant(tenant.id, prepare)).model_name == "groq"


async def groq_mind(tenant, server, slug="grace"):
    credentials = MindCredentials(server.key, server.url)

    def prepare():
        seed_demo_agents(tenant)
        version = published_version(agent_by_slug(slug))
        return build_mind(version, version.profile("browser"), credentials=credentials)

    return await run_in_tenant(tenant.id, prepare)


async def test_groq_is_given_the_prompt_and_the_knowledge_and_its_answer_is_spoken(tenant):
    async with running(GroqServer(answer=sensible, key="k1")) as server:
        mind = await groq_mind(tenant, server)
        await mind.open()
        answers, events = await talk(mind, "how much is it", "goodbye")
        await close_clients()
    assert "whale watching tour is ninety dollars" in answers[0]
    assert events == [HangUp()]
    [first, _] = server.requests
    assert first["model"] == "openai/gpt-oss-120b"
    assert first["messages"][0]["content"].startswith("You are Grace, the virtual assistant")
    assert {tool["function"]["name"] for tool in first["tools"]} == {
        "note_details", "hang_up", "take_message", "call_back",
    }  # fmt: skip
    assert server.connections == 1


async def test_when_groq_fails_the_embedded_brain_answers_and_the_observer_is_told(tenant):
    seen = []
    async with running(GroqServer([too_many("60")], key="k2")) as server:
        mind = await groq_mind(tenant, server)
        mind.observer = lambda name, data: seen.append((name, data))
        answers, _ = await talk(mind, "how much is it", "opening hours")
        await close_clients()
    assert "ninety dollars" in answers[0]
    assert "eight in the morning" in answers[1]
    assert len(server.requests) == 1
    [failure] = [data for name, data in seen if name == "model_failed"]
    assert (failure["model"], failure["code"]) == ("groq", "QuotaExceeded")
    assert failure["after_first_token"] is False
    used = [data["provider"] for name, data in seen if name == "model_used"]
    assert used == ["embedded", "embedded"]


async def test_the_profiles_fallback_models_are_asked_in_their_order(tenant):
    models = ["openai/gpt-oss-20b", "qwen/qwen3-32b"]
    failing = [too_many("60"), too_many("60")]
    async with running(GroqServer(failing, answer=sensible, key="k3")) as server:

        def prepare():
            seed_demo_agents(tenant)
            version = published_version(agent_by_slug("grace"))
            profile = parse_profile({"model": {"fallbacks": models}})
            return build_mind(version, profile, credentials=MindCredentials("k3", server.url))

        mind = await run_in_tenant(tenant.id, prepare)
        first, _ = await talk(mind, "how much is it")
        await talk(mind, "opening hours")
        await close_clients()
    assert "ninety dollars" in first[0]
    asked = [request["model"] for request in server.requests]
    assert asked == ["openai/gpt-oss-120b", *models, "qwen/qwen3-32b"]


async def test_the_model_check_asks_the_configured_server():
    async with running(GroqServer(models=("openai/gpt-oss-20b",))) as server:
        check = await check_model(MindCredentials("right-key", server.url))
    assert not check.ok
    assert "set GROQ_MODEL to one of: openai/gpt-oss-20b" in check.reason


async def test_without_a_key_the_model_check_says_which_variable_is_missing():
    check = await check_model(MindCredentials())
    assert (check.ok, check.reason) == (
        False,
        "GROQ_API_KEY is not set; the embedded brain answers",
    )


def test_seeding_twice_changes_nothing(in_tenant):
    first = seed_demo_agents(in_tenant)
    count = AuditEntry.objects.count()
    assert seed_demo_agents(in_tenant) == first
    assert AuditEntry.objects.count() == count
    assert [published_version(agent).knowledge.count() for agent in first] == [29, 29]
