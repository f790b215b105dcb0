"""Finding the right entry for what callers say, and none when there is none."""

from __future__ import annotations

import pytest

from agents.brain.knowledge import SURE, UNSURE
from agents.models import KnowledgeEntry
from agents.search import TenantKnowledge, search_knowledge
from agents.selectors import agent_by_slug, published_version
from agents.services import seed_demo_agents, version_draft
from tests.agents.conftest import entry
from tests.agents.labelled_questions import (
    ENGLISH,
    SPANISH,
    UNSEEN_ENGLISH,
    UNSEEN_SPANISH,
)


@pytest.fixture
def demo(in_tenant):
    seed_demo_agents(in_tenant)
    return {
        "es": published_version(agent_by_slug("andrea")),
        "en": published_version(agent_by_slug("grace")),
    }


def measure(version, language, labelled):
    """(top-1 accuracy, share answered without asking, false answers) of a labelled set."""
    right = sure = false = answerable = 0
    wrong = []
    for text, expected in labelled:
        found = search_knowledge(version_id=version.pk, language=language, text=text)
        best = found[0] if found else None
        if expected is None:
            false += best is not None and best.score >= SURE
            if best is not None and best.score >= SURE:
                wrong.append((text, round(best.score, 2), best.question))
            continue
        answerable += 1
        hit = best is not None and best.question == expected and best.score >= UNSURE
        right += hit
        sure += hit and best.score >= SURE
        if not hit:
            wrong.append((text, best and (round(best.score, 2), best.question)))
    others = len(labelled) - answerable
    return right / answerable, sure / answerable, false / others, wrong


@pytest.mark.parametrize(("language", "labelled"), [("en", ENGLISH), ("es", SPANISH)])
def test_paraphrased_questions_find_their_entry_and_others_none(language, labelled, demo):
    accuracy, sure, false_answers, wrong = measure(demo[language], language, labelled)
    assert accuracy >= 0.95, wrong
    assert sure >= 0.75, wrong
    assert false_answers == 0, wrong


@pytest.mark.parametrize(("language", "labelled"), [("en", UNSEEN_ENGLISH), ("es", UNSEEN_SPANISH)])
def test_questions_that_were_not_tuned_on_do_nearly_as_well(language, labelled, demo):
    accuracy, sure, false_answers, wrong = measure(demo[language], language, labelled)
    assert accuracy >= 0.85, wrong
    assert sure >= 0.6, wrong
    assert false_answers <= 0.25, wrong


@pytest.mark.parametrize("language", ["en", "es"])
def test_every_way_to_ask_that_was_written_down_finds_its_entry(language, demo):
    for known in KnowledgeEntry.objects.filter(version=demo[language]):
        for text in [known.question, *known.phrasings.splitlines()]:
            found = search_knowledge(version_id=demo[language].pk, language=language, text=text)
            assert found[0].question == known.question, text
            assert found[0].score >= SURE, text


def test_a_search_stays_in_its_version_and_language(demo, owner):
    draft = version_draft(agent=agent_by_slug("grace"), actor=owner)
    entry(draft, "Do you have a submarine?")
    other = search_knowledge(version_id=demo["en"].pk, language="en", text="a submarine")
    assert all(found.question != "Do you have a submarine?" for found in other)
    assert not search_knowledge(version_id=demo["en"].pk, language="es", text="a submarine")
    [found] = search_knowledge(version_id=draft.pk, language="en", text="a submarine", limit=1)
    assert found.score > SURE


@pytest.mark.parametrize("text", ["", "   ", "¿?", "what is it that you do", "'; DROP TABLE x; --"])
def test_words_that_ask_nothing_find_nothing_sure(text, demo):
    found = search_knowledge(version_id=demo["en"].pk, language="en", text=text)
    assert not [each for each in found if each.score >= SURE]


def test_accents_do_not_matter(demo):
    def best(text):
        return search_knowledge(version_id=demo["es"].pk, language="es", text=text)[0]

    assert best("política de cancelación").question == best("politica de cancelacion").question


def test_another_tenant_finds_nothing_in_a_version_that_is_not_its_own(demo, other_tenant):
    from tenants.db import switch_tenant

    with switch_tenant(other_tenant.id):
        assert not search_knowledge(version_id=demo["en"].pk, language="en", text="price")


@pytest.mark.django_db(transaction=True)
async def test_the_port_searches_from_a_coroutine(tenant):
    from tenants.db import run_in_tenant

    def prepare():
        seed_demo_agents(tenant)
        return published_version(agent_by_slug("grace"))

    version = await run_in_tenant(tenant.id, prepare)
    port = TenantKnowledge(tenant_id=tenant.id, version_id=version.pk)
    found = await port.search("how much is it", "en")
    assert found[0].question == "How much is a tour?"
