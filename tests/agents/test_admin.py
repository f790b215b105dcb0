"""The back office's pages of agents: edit, refuse with reasons, publish, roll back."""

from __future__ import annotations

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone
from unfold.forms import AdminForm

from agents.admin.profile_form import ProfileForm, fieldsets, paths
from agents.models import Agent, AgentVersion, KnowledgeEntry
from agents.profiles import ChannelProfile, default_profile
from agents.selectors import draft_version, published_version
from agents.services import agent_create, seed_demo_agents, version_draft
from tenants.db import tenant_transaction
from tenants.middleware import OPERATOR_TENANT
from tenants.models import AuditEntry


@pytest.fixture
def office(login, operator, tenant):
    """The operator's client, inside `tenant`."""
    client = login(operator)
    session = client.session
    session[OPERATOR_TENANT] = tenant.pk
    session.save()
    return client


@pytest.fixture
def draft(tenant, owner):
    with tenant_transaction(tenant.id):
        agent = agent_create(tenant=tenant, actor=owner, name="Andrea", slug="andrea")
        version = draft_version(agent)
        KnowledgeEntry.objects.create(
            version=version, language="es", question="¿Cuánto?", answer="Cien."
        )
    return version


def change_page(version):
    return reverse("admin:agents_agentversion_change", args=[version.pk])


def action(version, name):
    return reverse(f"admin:agents_agentversion_{name}", args=[version.pk])


def posted(page):
    """The fields of a form as a browser would send them back unchanged."""
    bound = list(page.context["adminform"].form)
    for inline in page.context["inline_admin_formsets"]:
        bound += list(inline.formset.management_form)
        bound += [field for row in inline.formset.initial_forms for field in row]
    values = {field.html_name: (field.field, field.value()) for field in bound}
    return {
        name: "on" if value is True else field.prepare_value(value)
        for name, (field, value) in values.items()
        if value is not None and value is not False
    }


def in_tenant_of(version, function):
    with tenant_transaction(version.tenant_id):
        return function()


# --- agents -------------------------------------------------------------------------------


def test_an_agent_made_in_the_back_office_has_a_draft_to_edit(office, tenant):
    page = office.post(
        reverse("admin:agents_agent_add"),
        {"name": "Sol", "slug": "sol", "language": "en", "is_active": "on"},
    )
    assert page.status_code == 302
    with tenant_transaction(tenant.id):
        agent = Agent.objects.get(slug="sol")
        draft = draft_version(agent)
    opened = office.get(reverse("admin:agents_agent_open_draft", args=[agent.pk]))
    assert opened.url == change_page(draft)


def test_the_list_shows_which_version_takes_calls(office, tenant):
    with tenant_transaction(tenant.id):
        seed_demo_agents(tenant)
    page = office.get(reverse("admin:agents_agent_changelist"))
    assert [re.sub("<.*?>", "", str(r)) for r in page.context["cl"].result_list] == [
        "Andrea",
        "Grace",
    ]
    assert page.status_code == 200


def test_an_agent_is_renamed_and_cannot_be_deleted(office, draft):
    address = reverse("admin:agents_agent_change", args=[draft.agent_id])
    page = office.get(address)
    office.post(address, posted(page) | {"name": "Luz", "is_active": "on"})
    assert in_tenant_of(draft, lambda: Agent.objects.get().name) == "Luz"
    assert office.post(reverse("admin:agents_agent_delete", args=[draft.agent_id])).status_code == (
        403
    )


# --- versions -----------------------------------------------------------------------------


def test_a_draft_is_saved_with_its_knowledge(office, draft):
    page = office.get(change_page(draft))
    assert page.status_code == 200
    data = posted(page) | {
        "prompt": "Eres Andrea.",
        "greeting_es": "Hola.",
        "knowledge-0-answer": "Doscientos.",
        "knowledge-0-tags": "precio, costo",
    }
    saved = office.post(change_page(draft), data)
    assert saved.status_code == 302, saved.context["errors"]
    draft = in_tenant_of(draft, AgentVersion.objects.get)
    known = in_tenant_of(draft, KnowledgeEntry.objects.get)
    assert (draft.prompt, draft.greeting) == ("Eres Andrea.", {"es": "Hola."})
    assert (known.answer, known.tags) == ("Doscientos.", ["precio", "costo"])


def test_a_slot_that_cannot_be_asked_for_is_refused_at_its_field(office, draft):
    data = posted(office.get(change_page(draft))) | {"knowledge-0-collect": "name, shoe"}
    page = office.post(change_page(draft), data)
    row = page.context["inline_admin_formsets"][0].formset.forms[0]
    assert row.errors["collect"] == [
        "'shoe' cannot be asked for; known are name, phone, date, people, number"
    ]


def test_what_is_published_is_shown_and_not_changed(office, tenant):
    with tenant_transaction(tenant.id):
        version = published_version(seed_demo_agents(tenant)[0])
    page = office.get(change_page(version))
    assert page.status_code == 200
    assert b'name="_save"' not in page.content
    refused = office.post(change_page(version), {"prompt": "Other."})
    assert refused.status_code == 403
    profile = office.get(action(version, "edit_twilio"))
    assert b'name="_save"' not in profile.content
    assert profile.context["adminform"].form.fields["voice__speed"].disabled
    office.post(action(version, "edit_twilio"), {"voice__speed": "2"})
    stored = in_tenant_of(version, lambda: AgentVersion.objects.get(pk=version.pk))
    assert (stored.prompt, stored.profiles) == (version.prompt, version.profiles)


def test_publishing_shows_the_differences_first_and_acts_on_post_only(office, tenant, owner):
    with tenant_transaction(tenant.id):
        agent = seed_demo_agents(tenant)[0]
        first = published_version(agent)
        second = version_draft(agent=agent, actor=owner)
        AgentVersion.objects.filter(pk=second.pk).update(prompt="Otra.")
    page = office.get(action(second, "publish"))
    assert [d.path for d in page.context["differences"]] == ["prompt"]
    assert in_tenant_of(first, lambda: published_version(agent)) == first
    office.post(action(second, "publish"))
    assert in_tenant_of(first, lambda: published_version(agent)) == second
    office.post(action(first, "roll_back"))
    assert in_tenant_of(first, lambda: published_version(agent)) == first
    deeds = in_tenant_of(
        first, lambda: list(AuditEntry.objects.filter(is_operator=True).values_list("action"))
    )
    assert ("agent.version_published",) in deeds
    assert ("agent.version_rolled_back",) in deeds


def test_a_draft_that_is_not_ready_is_not_published_and_says_why(office, draft):
    page = office.post(action(draft, "publish"), follow=True)
    assert "the prompt is empty; the greeting in &#x27;es&#x27; is missing" in page.content.decode()
    assert in_tenant_of(draft, lambda: published_version(draft.agent)) is None


@pytest.mark.parametrize("name", ["edit_twilio", "publish", "roll_back", "show_diff"])
def test_a_version_of_another_tenant_is_not_found(name, office, other_tenant, owner):
    with tenant_transaction(other_tenant.id):
        agent = agent_create(tenant=other_tenant, actor=owner, name="X", slug="x")
        foreign = draft_version(agent)
    assert office.get(action(foreign, name)).status_code == 404
    assert office.post(action(foreign, name), {"voice__speed": "2"}).status_code == 404


# --- profiles -----------------------------------------------------------------------------


def test_an_agents_page_tells_the_id_by_which_the_api_knows_it(office, draft):
    page = office.get(reverse("admin:agents_agent_change", args=[draft.agent_id]))
    assert str(in_tenant_of(draft, lambda: draft.agent.public_id)) in page.content.decode()


def test_every_setting_has_a_field_in_exactly_one_tab():
    tabs = fieldsets("Twilio", "twilio")
    names = [name for _title, options in tabs for name in options["fields"]]
    assert sorted(names) == sorted(["all_channels", *(path for path, _ in paths(ChannelProfile))])


def test_every_number_says_what_is_allowed_and_what_is_usual():
    form = ProfileForm(stored=default_profile("es").model_dump(mode="json"), editable=True)
    assert form.fields["transcriber__turns__vad_threshold"].help_text == (
        "Speech probability from which it counts as speech. 0.05 to 0.95; default 0.5."
    )
    assert form.fields["transcriber__turns__endpointing_min"].help_text.endswith(
        "50 to 5000 ms; default 400 ms."
    )
    assert all(field.help_text for field in form.fields.values())


def test_fallbacks_are_lines_whose_order_is_kept_and_voices_are_by_dialect():
    stored = default_profile("es").model_dump(mode="json")
    shown = ProfileForm(stored=stored, editable=True)
    sent = {name: field.prepare_value(field.initial) for name, field in shown.fields.items()}
    sent |= {
        "voice__fallbacks": "openai\nelevenlabs",
        "transcriber__fallbacks": "browser\ngroq",
        "model__fallbacks": "openai/gpt-oss-20b",
        "voice__voices": "en-GB = en-GB-SoniaNeural",
    }
    form = ProfileForm(sent, stored=stored, editable=True)
    assert form.is_valid(), form.errors
    profile = form.profile
    assert profile.voice.fallbacks == ("openai", "elevenlabs")
    assert profile.transcriber.fallbacks == ("browser", "groq")
    assert profile.model.fallbacks == ("openai/gpt-oss-20b",)
    assert profile.voice.voices == {"en-GB": "en-GB-SoniaNeural"}
    wrong = ProfileForm(sent | {"voice__fallbacks": "azure"}, stored=stored, editable=True)
    assert not wrong.is_valid()
    assert "is the chosen one" in str(wrong.errors["voice__fallbacks"])


def test_a_profile_sent_back_unchanged_is_the_same_profile(office, draft):
    page = office.get(action(draft, "edit_twilio"))
    saved = office.post(action(draft, "edit_twilio"), posted(page))
    assert saved.status_code == 302
    stored = in_tenant_of(draft, AgentVersion.objects.get)
    assert stored.profiles == draft.profiles


def test_twilios_own_speech_is_a_setting_of_twilios_profile_and_stays_when_others_are_saved(
    office, draft
):
    data = posted(office.get(action(draft, "edit_twilio"))) | {"relay__enabled": "on"}
    assert office.post(action(draft, "edit_twilio"), data).status_code == 302
    page = office.get(action(draft, "edit_telnyx"))
    assert "relay__" not in page.content.decode()
    data = posted(page) | {"voice__speed": "1.25", "all_channels": "on"}
    assert office.post(action(draft, "edit_telnyx"), data).status_code == 302
    stored = in_tenant_of(draft, AgentVersion.objects.get)
    relayed = {channel: stored.profile(channel).relay.enabled for channel in stored.profiles}
    assert relayed == {"browser": False, "twilio": True, "telnyx": False, "threecx": False}
    assert {stored.profile(channel).voice.speed for channel in stored.profiles} == {1.25}


def test_a_profiles_page_looks_as_all_others_do_if_it_is_the_first_one_opened(
    office, draft, monkeypatch
):
    """The theme puts its form in place of Django's while it serves some other page."""
    monkeypatch.setattr("django.contrib.admin.helpers.AdminForm", None)
    page = office.get(action(draft, "edit_browser"))
    assert isinstance(page.context["adminform"], AdminForm)


def test_a_profile_is_saved_for_one_channel_or_for_all(office, draft):
    data = posted(office.get(action(draft, "edit_twilio"))) | {
        "voice__speed": "1.25",
        "voice__lexicon": "Spirit = espírit\nTour = tur",
        "functions__transfer_targets": "Ventas = +52 55 5512 3456 (reservas)\n"
        "Gerencia = +52 55 5512 3457 warm (quejas)\nSwarm = +525555123458 warm",
        "transcriber__turns__backchannels": "ajá\nmhm",
    }
    office.post(action(draft, "edit_twilio"), data)
    stored = in_tenant_of(draft, AgentVersion.objects.get)
    profile = stored.profile("twilio")
    assert (profile.voice.speed, stored.profile("browser").voice.speed) == (1.25, 1.0)
    assert profile.voice.lexicon == {"Spirit": "espírit", "Tour": "tur"}
    targets = profile.functions.transfer_targets
    assert [(t.name, t.number, t.warm, t.description) for t in targets] == [
        ("Ventas", "+525555123456", False, "reservas"),
        ("Gerencia", "+525555123457", True, "quejas"),
        ("Swarm", "+525555123458", True, ""),
    ]
    assert profile.transcriber.turns.backchannels == ("ajá", "mhm")
    office.post(action(draft, "edit_twilio"), data | {"all_channels": "on"})
    stored = in_tenant_of(draft, AgentVersion.objects.get)
    assert stored.profiles["browser"] == stored.profiles["telnyx"] == stored.profiles["twilio"]


def test_warm_targets_are_shown_as_they_are_written(office, draft):
    lines = "Ventas = +525555123456 (reservas)\nGerencia = +525555123457 warm (quejas)"
    data = posted(office.get(action(draft, "edit_twilio")))
    office.post(action(draft, "edit_twilio"), data | {"functions__transfer_targets": lines})
    shown = posted(office.get(action(draft, "edit_twilio")))["functions__transfer_targets"]
    assert shown.splitlines() == lines.splitlines()


def test_a_message_that_is_to_be_left_must_be_there(office, draft):
    data = posted(office.get(action(draft, "edit_twilio")))
    page = office.post(
        action(draft, "edit_twilio"), data | {"advanced__voicemail": "leave_message"}
    )
    errors = page.context["adminform"].form.errors
    assert list(errors) == ["advanced__voicemail_message"]
    assert "there is nothing to leave" in errors["advanced__voicemail_message"][0]


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("transcriber__turns__vad_threshold", "1.5", "vad_threshold is '1.5'; allowed is 0.05 to"),
        ("model__max_tokens", "many", "max_tokens is 'many'; allowed is a whole number, 32 to"),
        ("model__max_tokens", "", "max_tokens is ''; allowed is a whole number, 32 to 4096"),
        ("functions__transfer_targets", "Ventas = 12", "'12' is not an international number"),
        ("functions__transfer_targets", "Ventas", "name = +"),
        ("voice__lexicon", "Spirit", "Spirit"),
        ("transcriber__turns__endpointing_min", "3000", "it may not exceed endpointing_max"),
        ("transcriber__turns__keys_max_digits", "33", "allowed is a whole number, 0 to 32"),
    ],
)
def test_a_bad_value_is_refused_at_its_field_with_the_reason(field, value, reason, office, draft):
    data = posted(office.get(action(draft, "edit_twilio"))) | {field: value}
    page = office.post(action(draft, "edit_twilio"), data)
    assert page.status_code == 200
    errors = page.context["adminform"].form.errors
    assert list(errors) == [field]
    assert reason in errors[field][0]
    stored = in_tenant_of(draft, AgentVersion.objects.get)
    assert stored.profiles == draft.profiles


def test_an_extension_is_a_target_of_the_3cx_profile_alone(office, draft):
    field = {"functions__transfer_targets": "Ventas = 200 (all)"}
    page = office.get(action(draft, "edit_threecx"))
    assert "3CX profile of" in page.content.decode()
    sent = posted(page) | field
    assert office.post(action(draft, "edit_threecx"), sent).status_code == 302
    stored = in_tenant_of(draft, AgentVersion.objects.get)
    (target,) = stored.profile("threecx").functions.transfer_targets
    assert (target.number, stored.profile("twilio").functions.transfer_targets) == ("200", ())
    for name, more in (("edit_twilio", {}), ("edit_threecx", {"all_channels": "on"})):
        sent = posted(office.get(action(draft, name))) | field
        page = office.post(action(draft, name), sent | more)
        assert list(page.context["adminform"].form.errors) == ["functions__transfer_targets"]


def test_without_a_selected_tenant_nothing_is_shown(login, operator, draft):
    client = login(operator)
    assert client.get(change_page(draft)).status_code == 302
    assert client.get(action(draft, "edit_twilio")).status_code == 404


def test_staff_of_the_tenant_are_no_operators(login, staff, draft):
    client = login(staff)
    assert client.get(change_page(draft)).status_code == 302
    assert client.post(action(draft, "publish")).status_code == 302
    assert in_tenant_of(draft, lambda: published_version(draft.agent)) is None


# --- knowledge from a file ------------------------------------------------------------------


def upload(office, version, text, name="knowledge.csv"):
    return office.post(
        action(version, "import_knowledge"), {"file": SimpleUploadedFile(name, text)}, follow=True
    )


def known(version):
    return in_tenant_of(
        version,
        lambda: dict(
            KnowledgeEntry.objects.filter(version=version).values_list("question", "answer")
        ),
    )


def test_a_file_is_imported_into_a_draft(office, draft):
    assert "file" in office.get(action(draft, "import_knowledge")).context["form"].fields
    text = "question,answer\n¿Cuánto?,Doscientos.\n¿Abren hoy?,Sí.\n".encode()
    page = upload(office, draft, text)
    assert page.redirect_chain == [(change_page(draft), 302)]
    assert "1 new, 1 replaced" in page.content.decode()
    assert known(draft) == {"¿Cuánto?": "Doscientos.", "¿Abren hoy?": "Sí."}


def test_a_faulty_file_is_refused_by_line_and_nothing_of_it_is_imported(office, draft):
    page = upload(office, draft, b"question,answer\nGood?,Yes.\n,Lost.\nHow?,\n")
    assert [line for line, _reason in page.context["form"].faults] == [3, 4]
    assert "Line 4: answer is missing" in page.content.decode()
    assert known(draft) == {"¿Cuánto?": "Cien."}


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("knowledge.exe", b"question,answer", "has to end in .csv or .yaml"),
        ("knowledge.csv", b"question,answer\n\xff,b", "not UTF-8"),
        ("knowledge.csv", b"", "empty"),
        ("knowledge.csv", b"x" * (2 * 1024 * 1024 + 1), "larger than 2 MB"),
    ],
)
def test_what_is_no_knowledge_file_is_refused(office, draft, name, content, why):
    page = upload(office, draft, content, name)
    assert why in str(page.context["form"].errors)
    assert known(draft) == {"¿Cuánto?": "Cien."}


def test_nothing_is_imported_into_a_published_version(office, draft):
    published = {"state": "published", "published_at": timezone.now()}
    in_tenant_of(draft, lambda: AgentVersion.objects.filter(pk=draft.pk).update(**published))
    page = upload(office, draft, b"question,answer\nHow?,So.\n")
    assert page.status_code == 403
    assert known(draft) == {"¿Cuánto?": "Cien."}
