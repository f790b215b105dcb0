"""What a 3CX's CRM integration gets of us, by an API key alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from calls.models import Call, JournalEntry, Leg, Number, Recording, TakenMessage
from tenants.db import tenant_transaction
from tests.calls.test_accounts import office as office
from tests.rows import make_row

pytestmark = pytest.mark.django_db

NUMBER = "+491701234567"
START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
ENTRY = {
    "type": "Inbound",
    "number": NUMBER,
    "agent": "200",
    "agent_email": "ana@spirit.example",
    "name": "Max",
    "entity_id": "",
    "queue": "",
    "start": "2026-11-21T09:30:00Z",
    "established": "2026-11-21T09:30:10Z",
    "end": "2026-11-21T09:31:10Z",
}


@pytest.fixture
def ask(client, tenant, make_api_key):
    key = make_api_key(tenant, ["calls.report", "settings.manage"])

    def send(path, data=None, *, key=key):
        headers = {"Authorization": f"Bearer {key}"}
        if data is None:
            return client.get(f"/api/v1/3cx/{path}", headers=headers)
        return client.post(
            f"/api/v1/3cx/{path}", data, content_type="application/json", headers=headers
        )

    return send


def a_call(tenant, **fields):
    with tenant_transaction(tenant.id):
        return make_row(
            Call,
            channel="threecx",
            from_number=NUMBER,
            to_number="+4930123",
            state="ended",
            end_reason="caller_hung_up",
            started_at=START,
            ended_at=START + timedelta(minutes=1),
            **fields,
        )


def entries(tenant):
    with tenant_transaction(tenant.id):
        return list(JournalEntry.objects.select_related("call"))


# --- the template ------------------------------------------------------------------------


def test_template_asks_at_our_address_with_the_key_typed_in_there(ask, settings):
    settings.PUBLIC_BASE_URL = "https://andrea.example"
    answer = ask("template")
    assert answer["Content-Type"] == "application/xml"
    crm = ElementTree.fromstring(answer.content.decode())  # noqa: S314 - our own
    defaults = {each.get("Name"): each.get("Default") for each in crm.iter("Parameter")}
    assert defaults["BaseUrl"] == "https://andrea.example/api/v1"
    assert defaults["ApiKey"] == ""
    assert [each.get("Url") for each in crm.iter("Request")] == [
        "[BaseUrl]/3cx/lookup?number=[Number]",
        "[BaseUrl]/3cx/journal",
    ]


def test_template_is_refused_where_no_pbx_could_reach_us(ask, settings):
    settings.PUBLIC_BASE_URL = "http://127.0.0.1:8000"
    assert ask("template").status_code == 409


# --- who calls ---------------------------------------------------------------------------


def test_caller_who_left_a_name_is_known_by_it(ask, tenant, settings):
    settings.PUBLIC_BASE_URL = "https://andrea.example"
    call = a_call(tenant)
    with tenant_transaction(tenant.id):
        make_row(TakenMessage, call=call, number=NUMBER, from_name="Max Weber")
    contact = ask("lookup?number=%2B491701234567").json()["contacts"]
    assert (contact["first"], contact["phone"]) == ("Max Weber", NUMBER)
    assert contact["url"] == f"https://andrea.example/calls/{call.public_id}/"


@pytest.mark.parametrize(
    "written",
    ["%2B491701234567", "00491701234567", "491701234567", "01701234567", "0170%20123-4567"],
)
def test_caller_is_found_however_the_pbx_writes_the_number(ask, tenant, written):
    call = a_call(tenant)
    with tenant_transaction(tenant.id):
        make_row(Number, e164="+525512340001", carrier="telnyx")
        make_row(Number, e164="+4930123456", carrier="threecx")  # the PBX is in Germany
    contact = ask(f"lookup?number={written}").json()["contacts"]
    assert (contact["id"], contact["phone"]) == (NUMBER, unquote(written))
    assert contact["url"].endswith(f"/calls/{call.public_id}/")


def test_latest_call_is_shown_whoever_began_it(ask, tenant):
    a_call(tenant)
    with tenant_transaction(tenant.id):
        ours = make_row(
            Call,
            direction="outbound",
            from_number="+4930123",
            to_number=NUMBER,
            state="ended",
            end_reason="no_answer",
            started_at=START + timedelta(hours=1),
            ended_at=START + timedelta(hours=1),
        )
        make_row(Leg, call=ours)
    contact = ask("lookup?number=%2B491701234567").json()["contacts"]
    assert (contact["id"], contact["url"].endswith(f"/calls/{ours.public_id}/")) == (NUMBER, True)


def test_lookup_asks_little_of_the_database(ask, tenant):
    a_call(tenant)
    with CaptureQueriesContext(connection) as asked:
        assert ask("lookup?number=%2B491701234567").status_code == 200
    # the tenant's country, who called, who was called, and the name that they left
    assert len([each for each in asked if 'FROM "calls_' in each["sql"]]) == 4


def test_wrong_key_is_refused_with_a_reason(ask, tenant):
    a_call(tenant)
    for key in ("", "wrong", "andrea_0123456789ab_" + "0" * 40):
        answer = ask("lookup?number=%2B491701234567", key=key)
        assert answer.status_code == 401
        assert answer.json()["detail"] == "This API key is unknown, revoked or expired."


@pytest.mark.parametrize(
    "number", ["1'%20OR%20'1'='1", "%00123456", "%2B" + "%D9%A1" * 9, "%3Cb%3E1234567", "1" * 60]
)
def test_hostile_number_is_nobodys(ask, tenant, number):
    a_call(tenant)
    answer = ask(f"lookup?number={number}")
    assert (answer.status_code, answer.json()) == (200, {"contacts": {}})


def test_plus_that_was_not_escaped_is_understood_and_answered_as_it_was_meant(ask, tenant):
    a_call(tenant)
    contact = ask("lookup?number=+491701234567").json()["contacts"]
    assert (contact["phone"], contact["first"]) == (NUMBER, NUMBER)


@pytest.mark.parametrize("number", ["%2B4989000000", "201", "0049", "9" * 60])
def test_stranger_is_nobody(ask, tenant, number):
    a_call(tenant)
    assert ask(f"lookup?number={number}").json() == {"contacts": {}}


def test_another_tenants_caller_is_nobody_here(ask, other_tenant):
    a_call(other_tenant)
    assert ask("lookup?number=%2B491701234567").json() == {"contacts": {}}


@pytest.mark.parametrize("query", ["", "?number=", "?number=anonymous", "?number=" + "1" * 61])
def test_lookup_of_nothing_is_a_bad_request(ask, query):
    answer = ask(f"lookup{query}")
    assert answer.status_code == 400
    assert "number" in answer.json()


# --- the journal -------------------------------------------------------------------------


def test_reported_call_is_kept_with_ours(ask, tenant):
    call = a_call(tenant)
    answer = ask("journal", ENTRY)
    assert (answer.status_code, answer.json()["call"]) == (201, str(call.public_id))
    (entry,) = entries(tenant)
    assert (entry.kind, entry.extension, entry.email, entry.call) == (
        "Inbound",
        "200",
        "ana@spirit.example",
        call,
    )
    assert entry.ended_at - entry.established_at == timedelta(minutes=1)


def test_report_that_comes_twice_is_kept_once(ask, tenant):
    first, second = ask("journal", ENTRY), ask("journal", ENTRY)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert len(entries(tenant)) == 1


def test_same_report_of_two_tenants_is_two_entries(ask, tenant, other_tenant, make_api_key, client):
    a_call(tenant)
    other = make_api_key(other_tenant, ["calls.report"])
    assert ask("journal", ENTRY, key=other).json()["call"] is None
    assert ask("journal", ENTRY).json()["call"] is not None
    assert (len(entries(tenant)), len(entries(other_tenant))) == (1, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"number": "+4989000000"},
        {"number": "Anonymous"},
        {"start": "2026-11-22T09:30:00Z", "established": "", "end": "0001-01-01T00:00:00Z"},
        {"type": "Outbound"},
    ],
)
def test_call_between_people_is_kept_without_one_of_ours(ask, tenant, changes):
    a_call(tenant)
    answer = ask("journal", {**ENTRY, **changes})
    assert (answer.status_code, answer.json()["call"]) == (201, None)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "Gossip"}, "type"),
        ({"start": "yesterday"}, "start"),
        ({"start": None}, "start"),
        ({"start": "0001-01-01T00:00:00+05:00"}, "start"),
        ({"end": "9999-12-31T23:59:59Z"}, "end"),
        ({"agent": "x" * 201}, "agent"),
        ({"number": ["+49"]}, "number"),
    ],
)
def test_report_that_makes_no_sense_is_refused_by_name_and_not_kept(ask, tenant, changes, field):
    answer = ask("journal", {**ENTRY, **changes})
    assert (answer.status_code, list(answer.json())) == (400, [field])
    assert entries(tenant) == []


@pytest.mark.parametrize("body", ["[]", "7", "{", '"text"', "null"])
def test_what_is_no_object_is_refused(ask, tenant, body):
    assert ask("journal", body).status_code == 400
    assert entries(tenant) == []


def test_null_characters_are_left_out(ask, tenant):
    assert ask("journal", {**ENTRY, "name": "Ma\0x"}).status_code == 201
    assert entries(tenant)[0].name.replace("\ufffd", "") == "Max"


def test_report_in_national_form_is_the_customers_and_our_calls(ask, tenant):
    call = a_call(tenant)
    with tenant_transaction(tenant.id):
        make_row(Number, e164="+4930123456", carrier="threecx")
    assert ask("journal", {**ENTRY, "number": "01701234567"}).json()["call"] == str(call.public_id)
    assert [each.number for each in entries(tenant)] == [NUMBER]


def test_journal_is_shown_by_number_with_our_call_and_its_recording(ask, tenant, office):
    recorded = a_call(tenant)
    with tenant_transaction(tenant.id):
        make_row(Recording, call=recorded)
    ask("journal", ENTRY)
    ask("journal", {**ENTRY, "type": "Missed", "number": "+4989000000", "agent": "201"})
    journal = reverse("admin:calls_journalentry_changelist")
    ours, theirs = (
        office.get(journal, {"q": number}).content.decode() for number in (NUMBER, "+4989000000")
    )
    assert f"/calls/{recorded.public_id}/#recording" in ours
    assert reverse("admin:calls_call_change", args=[recorded.pk]) in ours
    assert "#recording" not in theirs
    assert "201" in theirs


@pytest.mark.parametrize("path", ["template", "lookup?number=1", "journal"])
def test_without_the_key_or_its_scope_nothing_is_told(ask, tenant, make_api_key, client, path):
    data = ENTRY if path == "journal" else None
    assert ask(path, data, key="andrea_0_0").status_code == 401
    assert ask(path, data, key=make_api_key(tenant, ["agents.view"])).status_code == 403
    assert entries(tenant) == []
