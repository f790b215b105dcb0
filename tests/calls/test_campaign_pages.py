"""Campaigns over HTTP and in the back office: run them, watch them, and be told what is wrong."""

from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from calls.models import (
    Call,
    Campaign,
    CampaignAttempt,
    CampaignContact,
    DoNotCall,
)
from calls.selectors.campaigns import funnel
from calls.services.campaigns import (
    campaign_create,
)
from tenants.db import tenant_transaction
from tenants.middleware import OPERATOR_TENANT
from tests.calls.campaigning import (
    NOON,
    audience,
    end,
    make,
    number,
    people,
    state,
    step,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sent")]

CAMPAIGNS = "/api/v1/campaigns/"


def test_the_funnel_counts_everybody_once(line):
    campaign = make(line, *range(1, 7), max_at_once=4)
    with tenant_transaction(line.tenant.id):
        DoNotCall.objects.create(number=number(1))
    called = step(campaign)
    end(campaign, called[0], "caller_hung_up")
    end(campaign, called[1], "busy")
    with tenant_transaction(line.tenant.id):
        Call.objects.filter(to_number=called[2]).update(
            state="live", answered_at=NOON, heartbeat_at=NOON
        )
        Campaign.objects.update(max_at_once=2)
    step(campaign)
    with tenant_transaction(line.tenant.id):
        found = funnel(campaign)
    assert (found.audience, found.calls) == (6, 4)
    assert (found.waiting, found.ringing, found.talking) == (2, 1, 1)
    assert (found.done, found.given_up, found.skipped) == (1, 0, 1)
    assert found.outcomes == {"talked": 1, "busy": 1, "do_not_call": 1}


@pytest.fixture
def ask(client, make_api_key, line):
    key = make_api_key(line.tenant, ["calls.view", "campaigns.manage"])
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


def test_a_campaign_is_run_over_http(ask, line):
    asked = {"name": "Spring", "agent": str(line.agent.public_id), "max_at_once": 2}
    made = ask.post(CAMPAIGNS, asked, content_type="application/json")
    assert made.status_code == 201, made.content
    page = f"{CAMPAIGNS}{made.json()['id']}/"
    filled = ask.post(f"{page}audience/", audience(1, 2, 3), content_type="text/csv")
    assert filled.json()["funnel"]["waiting"] == 3
    assert ask.post(f"{page}start/").json()["state"] == "running"
    assert ask.post(f"{page}start/").status_code == 409
    assert ask.post(f"{page}audience/", audience(4), content_type="text/csv").status_code == 409
    assert ask.post(f"{page}stop/").json()["state"] == "stopped"
    assert ask.get(CAMPAIGNS).json()["results"][0]["name"] == "Spring"


def test_a_campaign_says_whom_it_calls_again(ask, line):
    def made(**more):
        asked = {"name": "Spring", "agent": str(line.agent.public_id), **more}
        answer = ask.post(CAMPAIGNS, asked, content_type="application/json")
        return answer.status_code, answer.json().get("retries")

    rules = [{"outcome": "voicemail", "tries": 2, "after_minutes": 60}]
    assert made(retries=rules) == (201, rules)
    assert made(retries=[]) == (201, [])
    usual = made()[1]
    assert [rule["outcome"] for rule in usual] == ["busy", "no_answer", "failed"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"outcome": "talked"},
        {"outcome": "asleep"},
        {"tries": 1},
        {"tries": 11},
        {"after_minutes": 0},
        {"after_minutes": 7 * 24 * 60 + 1},
        None,
    ],
)
def test_a_retry_that_cannot_be_is_refused(ask, line, wrong):
    rule = {"outcome": "busy", "tries": 2, "after_minutes": 5}
    rules = [rule, rule] if wrong is None else [{**rule, **wrong}]
    asked = {"name": "Spring", "agent": str(line.agent.public_id), "retries": rules}
    answer = ask.post(CAMPAIGNS, asked, content_type="application/json")
    assert (answer.status_code, list(answer.json())) == (400, ["retries"])
    with tenant_transaction(line.tenant.id):
        assert not Campaign.objects.exists()


def test_a_faulty_audience_is_told_by_line_and_nothing_of_it_is_taken_in(ask, line):
    campaign = make(line, 1, start=False)
    address = f"{CAMPAIGNS}{campaign.public_id}/audience/"
    body = audience(2) + "nobody,X\n+34555010001,Y\n"
    answer = ask.post(address, body, content_type="text/csv")
    assert answer.status_code == 400
    assert [int(each["line"]) for each in answer.json()["lines"]] == [3, 4]
    assert list(people(campaign)) == [number(1)]
    assert ask.post(address, b"number\n\xff", content_type="text/csv").status_code == 400


def test_an_audience_may_be_a_list(ask, line):
    campaign = make(line, 1, start=False)
    address = f"{CAMPAIGNS}{campaign.public_id}/audience/"
    person = {"number": number(2), "name": "Ana"}

    def fill(contacts):
        return ask.post(address, {"contacts": contacts}, content_type="application/json")

    answer = fill([person, {"number": "nobody"}, {"name": "Eva"}, person])
    assert answer.status_code == 400
    assert [int(each["line"]) for each in answer.json()["lines"]] == [2, 3, 4]
    assert list(people(campaign)) == [number(1)]
    assert fill([person]).json()["funnel"]["audience"] == 1
    with tenant_transaction(line.tenant.id):
        contact = campaign.contacts.get()
        assert (contact.number, contact.attributes) == (number(2), {"name": "Ana"})


@pytest.mark.parametrize(
    "contacts",
    [
        None,
        [],
        "+525512345678",
        ["+525512345678"],
        [{"number": ["+525512345678"]}],
        [{"number": "+525512345678", "na\x00me": "x"}],
        [{"number": "+525512345678", "name": "\ud800"}],
    ],
)
def test_a_list_that_is_none_is_refused_and_the_audience_stays(ask, line, contacts):
    campaign = make(line, 1, start=False)
    address = f"{CAMPAIGNS}{campaign.public_id}/audience/"
    body = json.dumps({"contacts": contacts})
    assert ask.post(address, body, content_type="application/json").status_code == 400
    assert list(people(campaign)) == [number(1)]


@pytest.mark.parametrize(
    ("field", "value"),
    [("agent", "x"), ("max_at_once", 0), ("calls_per_minute", 100_000), ("from_number", "x")],
)
def test_a_campaign_that_cannot_be_is_refused_at_its_field(ask, line, field, value):
    asked = {"name": "Spring", "agent": str(line.agent.public_id), field: value}
    answer = ask.post(CAMPAIGNS, asked, content_type="application/json")
    assert answer.status_code == 400
    assert field in answer.json()


@pytest.fixture
def office(login, operator, tenant):
    client = login(operator)
    session = client.session
    session[OPERATOR_TENANT] = tenant.pk
    session.save()
    return client


def button(campaign: Campaign, name: str) -> str:
    return reverse(f"admin:calls_campaign_{name}", args=[campaign.pk])


def test_the_back_office_makes_fills_starts_watches_and_stops_a_campaign(office, line):
    sent = {
        "name": "Spring", "agent": line.agent.pk, "number": "", "calls_per_minute": 10,
        "max_at_once": 5, "breaker_sample": 20, "breaker_share": 50,
        "retries-TOTAL_FORMS": 0, "retries-INITIAL_FORMS": 0,
    }  # fmt: skip
    assert office.post(reverse("admin:calls_campaign_add"), sent).status_code == 302
    with tenant_transaction(line.tenant.id):
        campaign = Campaign.objects.get()
        assert {rule.outcome for rule in campaign.retries.all()} == {"busy", "no_answer", "failed"}
    bad = SimpleUploadedFile("people.csv", b"number\nnobody\n")
    assert "Line 2" in office.post(button(campaign, "fill"), {"file": bad}).content.decode()
    good = SimpleUploadedFile("people.csv", audience(1, 2).encode())
    assert office.post(button(campaign, "fill"), {"file": good}).status_code == 302
    assert "will be called" in office.get(button(campaign, "start")).content.decode()
    assert state(campaign) == "draft"
    assert office.post(button(campaign, "start")).status_code == 302
    watched = office.get(button(campaign, "watch"))
    assert watched["Refresh"] == "5"
    assert '<td id="waiting">2</td>' in watched.content.decode()
    assert button(campaign, "stop") in watched.content.decode()
    assert office.post(button(campaign, "stop")).status_code == 302
    assert state(campaign) == "stopped"
    assert button(campaign, "stop") not in office.get(button(campaign, "watch")).content.decode()


def test_audience_is_listed_by_campaign(office, line):
    first, _second = make(line, 1), make(line, 2)
    listed = reverse("admin:calls_campaigncontact_changelist")
    for value, places in ((first.pk, {1}), ("", {1, 2}), ("x", set()), ("9" * 30, set())):
        page = office.get(listed, {"campaign__id__exact": value})
        shown = {contact.number for contact in page.context["cl"].result_list}
        assert shown == {number(place) for place in places}


def test_saving_the_settings_leaves_alone_what_a_worker_changes(office, line):
    campaign = make(line, 1)
    page = office.get(reverse("admin:calls_campaign_change", args=[campaign.pk]))
    assert page.status_code == 200
    with tenant_transaction(line.tenant.id):
        rules = list(campaign.retries.all())
    sent = {
        "name": "Summer", "calls_per_minute": 600, "max_at_once": 100, "breaker_sample": 20,
        "breaker_share": 50, "retries-TOTAL_FORMS": len(rules),
        "retries-INITIAL_FORMS": len(rules),
    }  # fmt: skip
    for place, rule in enumerate(rules):
        values = {"id": rule.pk, "campaign": campaign.pk, "outcome": rule.outcome,
                  "tries": rule.tries, "after_minutes": rule.after_minutes}  # fmt: skip
        sent |= {f"retries-{place}-{name}": value for name, value in values.items()}
    office.post(reverse("admin:calls_campaign_change", args=[campaign.pk]), sent)
    with tenant_transaction(line.tenant.id):
        campaign.refresh_from_db()
    assert (campaign.name, campaign.state) == ("Summer", "running")


def test_another_tenants_campaign_is_not_found(office, other_desk):
    with tenant_transaction(other_desk.tenant.id):
        theirs = campaign_create(name="Theirs", agent=other_desk.agent, number=None, actor="x")
    for name in ("watch", "fill", "start", "stop"):
        assert office.get(button(theirs, name)).status_code in {302, 404}
    with tenant_transaction(other_desk.tenant.id):
        assert CampaignAttempt.objects.count() == CampaignContact.objects.count() == 0
