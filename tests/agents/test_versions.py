"""Versions: drafts change, published ones never do, whoever asks and by whatever way."""

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction

from agents.errors import NothingToRollBackTo, NotPublishable, VersionIsImmutable
from agents.models import Agent, AgentVersion, KnowledgeEntry
from agents.selectors import (
    agent_for,
    draft_version,
    knowledge_of,
    published_version,
    recognition_hints,
    version_for,
)
from agents.services import (
    agent_create,
    agent_update,
    version_diff,
    version_draft,
    version_publish,
    version_roll_back,
    version_save,
)
from tenants.db import tenant_transaction
from tenants.models import AuditEntry
from tests.agents.conftest import entry


def actions():
    return list(AuditEntry.objects.order_by("id").values_list("action", flat=True))


# --- the life of a version ----------------------------------------------------------------


def test_a_new_agent_has_an_empty_first_draft_in_its_language(agent):
    draft = draft_version(agent)
    assert (draft.number, draft.languages, draft.knowledge.count()) == (1, ["es"], 0)
    assert draft.profile("twilio").voice.dialect == "es-MX"
    assert actions() == ["agent.created"]


def test_publishing_makes_the_version_take_calls_and_retires_the_one_before(published, owner):
    agent = published.agent
    second = version_draft(agent=agent, actor=owner)
    assert published_version(agent) == published
    version_publish(version=second, actor=owner)
    published.refresh_from_db()
    assert published_version(agent) == second
    assert (published.state, second.state) == ("retired", "published")


def test_a_draft_is_copied_from_what_is_published_with_its_knowledge(published, owner):
    second = version_draft(agent=published.agent, actor=owner)
    assert (second.number, second.prompt) == (2, "Eres Andrea.")
    assert [e.question for e in knowledge_of(second)] == ["¿Cuánto cuesta?"]
    assert knowledge_of(second)[0].pk != knowledge_of(published)[0].pk


def test_asking_for_a_draft_twice_gives_the_same_one(published, owner):
    first = version_draft(agent=published.agent, actor=owner)
    assert version_draft(agent=published.agent, actor=owner) == first


def test_rolling_back_brings_an_older_version_back_unchanged(published, owner):
    first_time = published.published_at
    second = version_publish(version=version_draft(agent=published.agent, actor=owner), actor=owner)
    back = version_roll_back(version=published, actor=owner)
    assert published_version(published.agent) == back
    assert back.published_at == first_time
    second.refresh_from_db()
    assert second.state == "retired"
    assert actions()[-1] == "agent.version_rolled_back"


@pytest.mark.parametrize("which", ["draft", "published"])
def test_only_a_retired_version_can_be_rolled_back_to(which, published, owner):
    version = published
    if which == "draft":
        version = version_draft(agent=published.agent, actor=owner)
    with pytest.raises(NothingToRollBackTo, match=f"is {which}; only a retired one"):
        version_roll_back(version=version, actor=owner)
    assert published_version(published.agent) == published


def test_a_draft_without_prompt_or_greeting_is_not_published_and_says_all_that_lacks(agent, owner):
    draft = draft_version(agent)
    with pytest.raises(NotPublishable) as caught:
        version_publish(version=draft, actor=owner)
    assert caught.value.faults == ["the prompt is empty", "the greeting in 'es' is missing"]
    assert published_version(agent) is None


def test_an_empty_greeting_is_a_decision_and_may_be_published(agent, owner):
    draft = draft_version(agent)
    version_save(version=draft, actor=owner, prompt="Eres Andrea.", greeting={"es": ""})
    assert version_publish(version=draft, actor=owner).greeting_in("es") is None


@pytest.mark.parametrize(
    ("content", "field", "reason"),
    [
        ({"languages": []}, "languages", "at least one language is needed"),
        ({"languages": ["es", "de"]}, "languages", "'de' is unknown; allowed is es, en"),
        ({"languages": ["es", "es"]}, "languages", "a language is named twice"),
        ({"greeting": {"en": "Hi"}}, "greeting", "'en' is none of this version's languages"),
        ({"greeting": ["Hola"]}, "greeting", "a greeting is a text per language"),
        ({"greeting": {"es": "x" * 1001}}, "greeting", "must be a text of up to 1000"),
        (
            {"profiles": {"twilio": {"voice": {"speed": 7}}}},
            "profiles",
            "twilio: speed is 7; allowed is 0.5 to 2.0",
        ),
    ],
)
def test_a_bad_value_is_refused_and_nothing_is_saved(content, field, reason, draft, owner):
    before = AgentVersion.objects.values().get(pk=draft.pk)
    with pytest.raises(ValidationError) as caught:
        version_save(version=draft, actor=owner, **content)
    assert reason in str(caught.value.message_dict[field])
    assert AgentVersion.objects.values().get(pk=draft.pk) == before


# --- immutability -------------------------------------------------------------------------


def test_the_service_does_not_change_what_is_published(published, owner):
    with pytest.raises(VersionIsImmutable, match="Version 1 is published and cannot be changed"):
        version_save(version=published, actor=owner, prompt="Other.")
    with pytest.raises(VersionIsImmutable):
        version_publish(version=published, actor=owner)


def test_the_model_does_not_save_or_delete_what_is_published(published):
    version = AgentVersion.objects.get(pk=published.pk)
    version.prompt = "Other."
    with pytest.raises(VersionIsImmutable):
        version.save()
    with pytest.raises(VersionIsImmutable):
        version.save(update_fields=["prompt"])
    with pytest.raises(VersionIsImmutable):
        version.delete()


def test_the_model_does_not_change_the_knowledge_of_what_is_published(published):
    known = KnowledgeEntry.objects.get(version=published)
    with pytest.raises(VersionIsImmutable):
        known.save()
    with pytest.raises(VersionIsImmutable):
        known.delete()
    with pytest.raises(VersionIsImmutable):
        entry(published, "¿Otra?")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE agents_agentversion SET prompt = 'Other.' WHERE id = %(version)s",
        "UPDATE agents_agentversion SET state='draft', published_at=NULL WHERE id = %(version)s",
        "UPDATE agents_agentversion SET number = 9 WHERE id = %(version)s",
        "UPDATE agents_agentversion SET state = 'retired', notes = 'x' WHERE id = %(version)s",
        "DELETE FROM agents_agentversion WHERE id = %(version)s",
        "UPDATE agents_knowledgeentry SET answer = 'No.' WHERE version_id = %(version)s",
        "DELETE FROM agents_knowledgeentry WHERE version_id = %(version)s",
        "INSERT INTO agents_knowledgeentry (public_id, created_at, updated_at, position, language,"
        " question, phrasings, answer, tags, collect, closing, trigrams, tenant_id, version_id)"
        " SELECT gen_random_uuid(), now(), now(), 9, 'es', 'q', '', 'a', '{}', '{}', '', '{}',"
        " tenant_id, id FROM agents_agentversion WHERE id = %(version)s",
    ],
)
def test_the_database_itself_refuses_to_change_what_is_published(statement, published):
    with (
        pytest.raises(IntegrityError, match="cannot be changed"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement, {"version": published.pk})
    assert AgentVersion.objects.get(pk=published.pk).prompt == "Eres Andrea."
    assert KnowledgeEntry.objects.get(version=published).answer == "Cien pesos."


def test_knowledge_cannot_be_moved_into_what_is_published(published, owner):
    draft = version_draft(agent=published.agent, actor=owner)
    extra = entry(draft, "¿Otra?")
    with pytest.raises(IntegrityError, match="cannot be changed"), transaction.atomic():
        KnowledgeEntry.objects.filter(pk=extra.pk).update(version=published)


def test_a_draft_can_be_deleted_with_its_knowledge(draft):
    draft.delete()
    assert not KnowledgeEntry.objects.exists()


def test_two_published_versions_of_one_agent_are_impossible(published, owner):
    draft = version_draft(agent=published.agent, actor=owner)
    with pytest.raises(IntegrityError, match="one_published"), transaction.atomic():
        AgentVersion.objects.filter(pk=draft.pk).update(
            state="published", published_at=published.published_at
        )


# --- reading ------------------------------------------------------------------------------


def test_a_diff_names_every_field_that_changed(published, owner):
    second = version_draft(agent=published.agent, actor=owner)
    profiles = second.profiles
    profiles["twilio"]["voice"]["speed"] = 1.2
    version_save(version=second, actor=owner, prompt="Eres Sol.", profiles=profiles)
    known = knowledge_of(second)[0]
    known.answer = "Doscientos pesos."
    known.save()
    entry(second, "¿Dónde están?")
    assert [str(d) for d in version_diff(published, second)] == [
        "prompt: 'Eres Andrea.' → 'Eres Sol.'",
        "profiles.twilio.voice.speed: 1.0 → 1.2",
        "knowledge[es: ¿Cuánto cuesta?].answer: 'Cien pesos.' → 'Doscientos pesos.'",
        "knowledge[es: ¿Dónde están?].answer: added 'Yes.'",
    ]


def test_a_diff_shows_new_fallbacks_and_no_setting_that_came_after_the_version(published, owner):
    second = version_draft(agent=published.agent, actor=owner)
    profiles = {**second.profiles}
    profiles["twilio"]["voice"]["fallbacks"] = ["openai", "elevenlabs"]
    version_save(version=second, actor=owner, profiles=profiles)
    for profile in published.profiles.values():  # as it was stored before there were any
        del profile["voice"]["fallbacks"], profile["transcriber"]["fallbacks"]
    assert [str(d) for d in version_diff(published, second)] == [
        "profiles.twilio.voice.fallbacks: [] → ['openai', 'elevenlabs']"
    ]


def test_a_diff_of_a_long_text_shows_only_the_lines_that_differ(published, owner):
    same = "\n".join(f"Line {number} of the prompt." for number in range(30))
    second = version_draft(agent=published.agent, actor=owner)
    version_save(version=second, actor=owner, prompt=f"{same}\nOld end.")
    version_publish(version=second, actor=owner)
    third = version_draft(agent=published.agent, actor=owner)
    version_save(version=third, actor=owner, prompt=f"{same}\nNew end.")
    assert [str(d) for d in version_diff(second, third)] == ["prompt:\n-Old end.\n+New end."]


def test_recognition_hints_are_the_tags_and_all_ways_to_ask(draft):
    entry(draft, "¿A qué hora abren?", phrasings="horarios\n\ncuándo abren", tags=["horario"])
    assert recognition_hints(draft, "es") == (
        ["precio", "horario"],
        ["¿Cuánto cuesta?", "¿A qué hora abren?", "horarios", "cuándo abren"],
    )


def test_another_tenant_s_agent_and_version_are_not_found(tenant, other_tenant, owner):
    with tenant_transaction(tenant.id):
        agent = agent_create(tenant=tenant, actor=owner, name="A", slug="a")
        draft = draft_version(agent)
    with tenant_transaction(other_tenant.id):
        with pytest.raises(Agent.DoesNotExist):
            agent_for(agent.public_id)
        with pytest.raises(AgentVersion.DoesNotExist):
            version_for(draft.public_id)


def test_another_tenant_s_agent_cannot_be_given_a_version(tenant, other_tenant, owner):
    with tenant_transaction(tenant.id):
        agent = agent_create(tenant=tenant, actor=owner, name="A", slug="a")
    with pytest.raises(DatabaseError, match="tenant_fk"), tenant_transaction(other_tenant.id):
        AgentVersion.objects.bulk_create(
            [AgentVersion(tenant=other_tenant, agent_id=agent.pk, number=7, languages=["es"])]
        )
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_an_agent_is_renamed_and_taken_out_of_service_with_a_trace(agent, owner):
    agent_update(agent=agent, actor=owner, name="Sol", is_active=False)
    assert AuditEntry.objects.get(action="agent.updated").changes == {
        "name": ["Andrea", "Sol"],
        "is_active": [True, False],
    }
