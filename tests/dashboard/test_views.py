"""The portal's pages: for whom, with what, and at what price in queries."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation

from agents.models import Agent, AgentVersion
from agents.models.version import VersionState
from agents.profiles import default_profile, parse_profile
from calls.models import (
    Call,
    CallBack,
    Campaign,
    CampaignAttempt,
    CampaignContact,
    Recording,
    Utterance,
)
from calls.providers.provider import Credentials
from dashboard.hearing import hearing_of, notice_for
from dashboard.templatetags.calls_text import outcome
from tenants.db import tenant_transaction
from tenants.models import Role, Tenant, User
from tests.rows import make_row

Login = Callable[[User], Client]
MakeMember = Callable[..., User]


def make_version(name: str = "Grace", language: str = "en", **transcriber: object) -> AgentVersion:
    """A published version of a new agent, in the current tenant."""
    agent = make_row(Agent, name=name, slug=name.lower(), language=language)
    profile = default_profile("es" if language == "es" else "en").model_dump(mode="json")
    profile["transcriber"].update(transcriber)
    stored = parse_profile(profile).model_dump(mode="json")
    version: AgentVersion = make_row(
        AgentVersion, agent=agent, number=1, languages=[language],
        profiles=dict.fromkeys(("browser", "twilio", "telnyx"), stored),
    )  # fmt: skip
    AgentVersion.objects.filter(pk=version.pk).update(
        state=VersionState.PUBLISHED, published_at=timezone.now()
    )
    version.refresh_from_db()
    return version


def make_call(version: AgentVersion, turns: int = 2, **fields: object) -> Call:
    call: Call = make_row(
        Call,
        agent=version.agent,
        version=version,
        language="en",
        **{"channel": "browser", **fields},
    )
    for number in range(turns):
        role = ("caller", "agent")[number % 2]
        make_row(
            Utterance, call=call, sequence=number, role=role, text=f"{role} {number}",
            heard_text=f"{role} {number}", started_ms=number * 1000, ended_ms=number * 1000 + 500,
            metrics={"response_latency": 412.4},
        )  # fmt: skip
    return call


PAGES = {
    "dashboard:home": {Role.OWNER, Role.MANAGER, Role.STAFF, Role.ANALYST},
    "dashboard:latest_calls": {Role.OWNER, Role.MANAGER, Role.STAFF, Role.ANALYST},
    "dashboard:test_call": {Role.OWNER, Role.MANAGER, Role.STAFF},
}


@pytest.mark.parametrize("role", [Role.OWNER, Role.MANAGER, Role.STAFF, Role.ANALYST])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_for_the_roles_that_may_use_it(
    tenant: Tenant, make_member: MakeMember, login: Login, page: str, role: Role
) -> None:
    response = login(make_member(tenant, role)).get(reverse(page))
    assert response.status_code == (200 if role in PAGES[page] else 403)
    if response.status_code == 403:
        assert "Your role does not allow this." in response.content.decode()


def test_a_stranger_is_sent_to_the_login(client: Client, db: None) -> None:
    for page in PAGES:
        response = client.get(reverse(page))
        assert response.status_code == 302
        assert response["Location"] == f"{reverse('account_login')}?next={reverse(page)}"


@pytest.mark.parametrize("page", [*PAGES])
def test_pages_are_only_read(staff: User, login: Login, page: str) -> None:
    assert login(staff).post(reverse(page)).status_code == 405


def test_an_outsider_sees_nothing_of_a_call(
    tenant: Tenant, staff: User, outsider: User, login: Login
) -> None:
    with tenant_transaction(tenant.pk):
        call = make_call(make_version("Confidential"))
    address = reverse("dashboard:call", args=[call.public_id])
    assert b"Confidential" in login(staff).get(address).content
    foreign = login(outsider).get(address)
    missing = login(outsider).get(reverse("dashboard:call", args=[uuid.uuid4()]))
    assert (foreign.status_code, missing.status_code) == (404, 404)
    assert _without_tokens(foreign.content) == _without_tokens(
        missing.content.replace(missing.wsgi_request.path.encode(), address.encode())
    )
    for page in PAGES:
        assert b"Confidential" not in login(outsider).get(reverse(page)).content


def _without_tokens(page: bytes) -> bytes:
    return re.sub(rb'name="csrfmiddlewaretoken" value="\w+"', b"", page)


def queries_of(client: Client, address: str) -> int:
    client.get(address)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


def test_home_costs_the_same_with_one_call_and_with_twenty(
    tenant: Tenant, staff: User, login: Login
) -> None:
    with tenant_transaction(tenant.pk):
        make_call(make_version())
    client = login(staff)
    few = queries_of(client, reverse("dashboard:home"))
    with tenant_transaction(tenant.pk):
        for number in range(3):
            version = make_version(f"agent-{number}")
            for _call in range(6):
                make_call(version)
    assert queries_of(client, reverse("dashboard:home")) == few <= 15


def test_the_call_log_shows_a_call_that_never_began_with_its_reason(
    tenant: Tenant, staff: User, login: Login
) -> None:
    """The first page fetches this part of itself again and again."""
    client, address = login(staff), reverse("dashboard:latest_calls")
    assert b"No calls yet" in client.get(address).content
    with tenant_transaction(tenant.pk):
        call = make_call(
            make_version(), turns=0, state="ended", end_reason="busy", ended_at=timezone.now()
        )
    log = client.get(address).content.decode()
    assert str(call.public_id) in log and "<td>busy</td>" in log
    assert f'data-from="{address}"' in client.get(reverse("dashboard:home")).content.decode()
    assert queries_of(client, address) <= 12


def placed_for_a_campaign(**fields: Any) -> Call:
    """An outbound call to +525512345678 that the campaign "Spring" placed."""
    call = make_call(
        make_version(), direction="outbound", channel="telnyx", from_number="+12125550100",
        to_number="+525512345678", **fields,
    )  # fmt: skip
    contact = make_row(CampaignContact, campaign=make_row(Campaign, name="Spring"))
    make_row(CampaignAttempt, contact=contact, call=call)
    return call


def test_the_call_log_shows_who_was_called_and_for_which_campaign(
    tenant: Tenant, staff: User, login: Login
) -> None:
    with tenant_transaction(tenant.pk):
        placed_for_a_campaign()
        make_call(make_version("Ada"), from_number="+525598765432", to_number="+12125550100")
    log = login(staff).get(reverse("dashboard:latest_calls")).content.decode()
    assert "+525512345678" in log and "Outbound" in log and "Spring" in log
    assert "+525598765432" in log and "Inbound" in log
    assert "+12125550100" not in log


def test_a_calls_page_shows_both_numbers_the_campaign_and_whom_it_calls_back(
    tenant: Tenant, staff: User, login: Login
) -> None:
    with tenant_transaction(tenant.pk):
        call = placed_for_a_campaign()
        before = make_call(make_version("Ada"))
        make_row(CallBack, call=before, placed=call, state="calling")
    page = page_of(login(staff), call)
    assert re.search(r"Outbound.*\+525512345678.*\+12125550100.*Spring", page, re.DOTALL)
    assert reverse("dashboard:call", args=[before.public_id]) in page


def test_a_call_costs_the_same_with_two_turns_and_with_fifty(
    tenant: Tenant, staff: User, login: Login
) -> None:
    with tenant_transaction(tenant.pk):
        version = make_version()
        short, long = make_call(version), make_call(version, turns=50)
    client = login(staff)
    few = queries_of(client, reverse("dashboard:call", args=[short.public_id]))
    assert queries_of(client, reverse("dashboard:call", args=[long.public_id])) == few <= 17


def test_a_call_shows_what_was_heard_and_how_quick_the_answers_were(
    tenant: Tenant, staff: User, login: Login
) -> None:
    with tenant_transaction(tenant.pk):
        call = make_call(
            make_version(), state="ended", end_reason="caller_hung_up",
            ended_at=timezone.now() + timedelta(minutes=1),
        )  # fmt: skip
        call.utterances.filter(sequence=1).update(heard_text="we are", interrupted=True)
    page = login(staff).get(reverse("dashboard:call", args=[call.public_id])).content.decode()
    assert "the caller hung up" in page
    assert "caller 0" in page
    assert "we are" in page and "agent 1" not in page
    assert "(interrupted)" in page
    assert page.count("412 ms") == 1  # the answer's, not the question's


def test_the_test_call_page_offers_published_agents_and_the_one_asked_for(
    tenant: Tenant, staff: User, login: Login
) -> None:
    with tenant_transaction(tenant.pk):
        make_row(Agent, name="Unpublished")
        make_version("Ada")
        grace = make_version("Grace").agent
    address = f"{reverse('dashboard:test_call')}?agent={grace.public_id}"
    page = login(staff).get(address).content.decode()
    assert re.findall(r"<option[^>]*selected[^>]*>(\w+)", page) == ["Grace"]
    assert "Ada" in page and "Unpublished" not in page


def test_the_pages_script_gets_texts_and_who_listens(
    tenant: Tenant, staff: User, login: Login
) -> None:
    with tenant_transaction(tenant.pk):
        agent = make_version("Andrea", "es").agent
    with translation.override("en"):  # the middleware leaves the thread in the page's language
        page = login(staff).get(reverse("dashboard:test_call"), headers={"accept-language": "es"})
    found = {
        name: json.loads(text)
        for name, text in re.findall(
            r'<script id="([\w-]+)" type="application/json">(.*?)</script>', page.content.decode()
        )
    }
    assert found["test-call-texts"]["states"]["listening"] == "Escucha"
    hearing = found["test-call-hearing"][str(agent.public_id)]["es"]
    assert (hearing["expected"], hearing["without_page"]) == ("embedded", "embedded")
    assert hearing["notices"]["embedded"]["code"] == "deaf"


@pytest.mark.parametrize(
    ("language", "transcriber", "credentials", "code"),
    [
        ("es", {}, Credentials(), "deaf"),
        ("en", {}, Credentials(), "demonstration"),
        ("es", {"provider": "browser"}, Credentials(), "browser"),
        ("es", {"fallbacks": ["groq", "browser"]}, Credentials(), "browser"),
        ("es", {"fallbacks": ["groq", "browser"]}, Credentials(groq_key="key"), None),
        ("es", {}, Credentials(groq_key="key"), None),
        ("en", {"provider": "embedded"}, Credentials(groq_key="key"), "demonstration"),
    ],
)
def test_a_caller_is_told_of_ears_that_are_wanting(
    in_tenant: Tenant, settings: object, language: str, transcriber: dict[str, Any],
    credentials: Credentials, code: str | None,
) -> None:  # fmt: skip
    setattr(settings, "SPEECH_CREDENTIALS", credentials)  # noqa: B010
    notice = notice_for(make_version(language=language, **transcriber))
    assert (notice and notice["code"]) == code


def test_the_missing_language_is_named_in_the_readers_language(in_tenant: Tenant) -> None:
    version = make_version(language="es")
    titles = {}
    for language in ("en", "es"):
        with translation.override(language):
            titles[language] = hearing_of(version)["es"]["notices"]["embedded"]["title"]
    assert titles == {
        "en": "No Spanish recogniser is configured",
        "es": "No hay un reconocedor de voz configurado (Español)",
    }


def test_a_call_that_still_runs_is_shown_by_its_state(in_tenant: Tenant) -> None:
    assert outcome(make_call(make_version(), state="ringing")) == "Ringing"


def test_an_operator_without_a_company_is_sent_to_the_back_office(
    operator: User, login: Login
) -> None:
    response = login(operator).get(reverse("dashboard:home"))
    assert (response.status_code, response["Location"]) == (302, reverse("admin:index"))


def test_a_user_without_a_company_who_is_no_operator_is_refused(login: Login, db: None) -> None:
    nobody = User.objects.create_user("nobody@example.org", "a password for nobody")
    assert login(nobody).get(reverse("dashboard:home")).status_code == 403


def ended(version: AgentVersion, finalised_at: datetime | None = None) -> Call:
    return make_call(
        version, state="ended", end_reason="caller_hung_up",
        ended_at=timezone.now() + timedelta(minutes=1), finalised_at=finalised_at,
    )  # fmt: skip


def page_of(client: Client, call: Call) -> str:
    return client.get(reverse("dashboard:call", args=[call.public_id])).content.decode()


def test_a_recording_can_be_played_by_those_who_may_listen(
    tenant: Tenant, make_member: MakeMember, login: Login
) -> None:
    with tenant_transaction(tenant.pk):
        call = ended(make_version())
        ready = {"call": call, "state": "ready", "sample_rate": 8000}
        ours = make_row(Recording, path="a.wav", **ready)
        theirs = make_row(Recording, path="b.wav", source="carrier", carrier_id="RE1", **ready)
    addresses = [
        reverse("api:call-one-recording", args=[call.public_id, row.public_id])
        for row in (ours, theirs)
    ]
    page = page_of(login(make_member(tenant, Role.OWNER)), call)
    assert re.findall(r'src="(/api[^"]+)"', page) == addresses
    assert page.count("Recorded by the carrier") == 1
    refused = page_of(login(make_member(tenant, Role.ANALYST)), call)
    assert "<audio" not in refused
    assert "Your role may not listen to recordings." in refused


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("missing", "The recording is missing."),
        ("recording", "The recording is being finished."),
        (None, "This call was not recorded."),
    ],
)
def test_a_recording_that_cannot_be_played_is_explained(
    tenant: Tenant, staff: User, login: Login, state: str | None, text: str
) -> None:
    with tenant_transaction(tenant.pk):
        call = ended(make_version())
        if state:
            make_row(Recording, call=call, path="a.wav", state=state, sample_rate=8000)
    page = page_of(login(staff), call)
    assert text in page
    assert "<audio" not in page


def test_a_call_is_followed_while_it_runs_and_no_longer(
    tenant: Tenant, staff: User, login: Login
) -> None:
    with tenant_transaction(tenant.pk):
        version, now = make_version(), timezone.now()
        running = make_call(version, state="live", answered_at=now, heartbeat_at=now)
        unfinished, finished = ended(version), ended(version, now)
    client = login(staff)
    assert 'data-changes="yes"' in page_of(client, running)
    assert 'data-changes="yes"' in page_of(client, unfinished)
    assert 'data-changes="no"' in page_of(client, finished)


def test_each_answer_says_what_its_time_was_made_of(
    tenant: Tenant, staff: User, login: Login
) -> None:
    with tenant_transaction(tenant.pk):
        call = ended(make_version())
        call.utterances.filter(sequence=1).update(
            metrics={"response_latency": 503.0, "endpointing_delay": 401.2, "llm_first_token": 90.0}
        )
    page = page_of(login(staff), call)
    assert "503 ms" in page
    assert "end of turn 401 · model 90" in page


def test_the_summary_is_marked_with_the_language_of_the_call(
    tenant: Tenant, staff: User, login: Login
) -> None:
    with tenant_transaction(tenant.pk):
        call = ended(make_version())
        Call.objects.filter(pk=call.pk).update(language="en", summary="Asked about: tours.")
    page = login(staff).get(
        reverse("dashboard:call", args=[call.public_id]), headers={"accept-language": "es"}
    )
    assert '<html lang="es">' in page.content.decode()
    assert 'lang="en">Asked about: tours.' in page.content.decode()
