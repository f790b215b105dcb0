"""The template that goes into a 3CX, and what comes back from there."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest
from pydantic import ValidationError

from calls.providers.carriers.signals import EndCause
from calls.providers.carriers.threecx.crm import (
    Contact,
    JournalEntry,
    Lookup,
    found,
    template,
)

CALL = {
    "type": "Inbound",
    "number": "+491701234567",
    "agent": "200",
    "start": "2026-11-21T10:00:00Z",
    "established": "2026-11-21T10:00:05Z",
    "end": "2026-11-21T10:01:05Z",
}


def entry(**changes: str) -> JournalEntry:
    return JournalEntry.read({**CALL, **changes})


# --- the template ------------------------------------------------------------------------


def parsed(**options: str) -> ElementTree.Element:
    fields: dict[str, Any] = {"name": "Andrea", "base_url": "https://andrea.example", **options}
    return ElementTree.fromstring(template(**fields))  # noqa: S314 - our own text


def test_the_administrator_types_the_key_and_finds_the_address_filled_in():
    parameters = {each.get("Name"): each for each in parsed().iterfind("Parameters/Parameter")}
    assert set(parameters) == {"ApiKey", "BaseUrl", "ReportCallEnabled"}
    assert (parameters["ApiKey"].get("Type"), parameters["ApiKey"].get("Default")) == (
        "Password", "",
    )  # fmt: skip
    assert parameters["BaseUrl"].get("Default") == "https://andrea.example"


def test_names_and_addresses_are_escaped():
    text = template(name='A & "B" <C>', base_url="https://andrea.example/a&b/")
    root = ElementTree.fromstring(text)  # noqa: S314 - our own text
    assert root.get("Name") == 'A & "B" <C>'
    (base,) = (p for p in root.iterfind("Parameters/Parameter") if p.get("Name") == "BaseUrl")
    assert base.get("Default") == "https://andrea.example/a&b"
    assert "a&amp;b" in text


def test_a_lookup_asks_by_number_with_the_key_and_gives_what_counts():
    scenario = parsed().find("Scenarios/Scenario[@Id='']")
    assert scenario is not None
    request = scenario.find("Request")
    assert request is not None
    assert request.get("Url") == "[BaseUrl]/3cx/lookup?number=[Number]"
    assert request.findtext("Headers/Value") == "Bearer [ApiKey]"
    outputs = {each.get("Type"): each.get("Value") for each in scenario.iterfind("Outputs/Output")}
    assert outputs["ContactUrl"] == "[Url]"
    assert outputs["PhoneBusiness"] == "[Phone]"
    variables = {each.get("Name") for each in scenario.iterfind("Variables/Variable")}
    assert {value[1:-1] for value in outputs.values() if value.startswith("[")} == variables


# What elements 3CX knows, with all that they may say (threecx.md, 7).
ELEMENTS = {
    "Crm": {"Country", "Name", "Version", "SupportsEmojis"},
    "Number": {"Prefix", "MaxLength"},
    "Connection": {"MaxConcurrentRequests"},
    "Parameters": set(),
    "Parameter": {"Name", "Type", "Parent", "Editor", "Title", "Default"},
    "Authentication": {"Type"},
    "Scenarios": set(),
    "Scenario": {"Id", "Type"},
    "Request": {
        "SkipIf", "Url", "RequestType", "RequestEncoding", "RequestContentType", "ResponseType",
    },
    "Headers": set(),
    "PostValues": {"Key"},
    "Value": {"Key", "Type"},
    "Rules": set(),
    "Rule": {"Type"},
    "Variables": set(),
    "Variable": {"Name", "Path"},
    "Outputs": {"AllowEmpty"},
    "Output": {"Type", "Value"},
}  # fmt: skip
# What 3CX itself puts in for a name in brackets.
GIVEN = {
    "Number", "CallType", "Name", "EntityId", "Agent", "AgentEmail", "QueueExtension",
    "CallStartTimeUTC", "CallEstablishedTimeUTC", "CallEndTimeUTC",
}  # fmt: skip


def test_a_template_says_nothing_that_3cx_does_not_know():
    root = parsed()
    assert [each.tag for each in root] == [
        "Number", "Connection", "Parameters", "Authentication", "Scenarios",
    ]  # fmt: skip
    for each in root.iter():
        assert set(each.attrib) <= ELEMENTS[each.tag], each.tag
    assert root[0].get("Prefix") in {"AsIs", "Off", "Plus", "Zeros"}
    assert [each.get("Id") for each in root.iter("Scenario")] == ["", "ReportCall"]


def test_a_template_names_nothing_that_is_not_there():
    root = parsed()
    known = GIVEN | {str(each.get("Name")) for each in root.iter("Parameter")}
    for scenario in root.iter("Scenario"):
        own = known | {str(each.get("Name")) for each in scenario.iter("Variable")}
        texts = [text for each in scenario.iter() for text in (*each.attrib.values(), each.text)]
        named = {name for text in texts for name in re.findall(r"\[(\w+)\]", text or "")}
        assert named <= own


def test_a_report_posts_all_that_is_read_here():
    scenario = parsed().find("Scenarios/Scenario[@Id='ReportCall']")
    assert scenario is not None
    values = {each.get("Key"): each.text for each in scenario.iterfind("Request/PostValues/Value")}
    assert set(values) == set(JournalEntry.model_fields)
    assert values["start"] == '[[CallStartTimeUTC].ToString("yyyy-MM-ddTHH:mm:ssZ")]'


@pytest.mark.parametrize("wrong", ["http://andrea.example", "andrea.example", "https://a/?b=c", ""])
def test_an_address_that_would_show_the_key_is_refused(wrong):
    with pytest.raises(ValueError, match="no https address"):
        template(name="Andrea", base_url=wrong)


# --- a lookup ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["+491701234567", "200", "0049170"])
def test_the_number_goes_back_as_it_came(number):
    contact = Contact(id="c1", url="https://andrea.example/c1", first="Ana")
    answer = found(Lookup(number=number), contact)
    assert answer["contacts"]["phone"] == number
    assert answer["contacts"]["first"] == "Ana"


def test_a_plus_that_arrived_as_a_space_is_a_plus():
    assert Lookup(number=" 491701234567").number == "+491701234567"


def test_nobody_is_an_empty_answer():
    assert found(Lookup(number="+1"), None) == {"contacts": {}}


def test_a_contact_without_a_name_would_be_overlooked():
    with pytest.raises(ValueError, match="neither a name nor a company"):
        found(Lookup(number="+1"), Contact(id="c1", url="https://x"))


@pytest.mark.parametrize("number", ["", "anonymous", "1" * 61])
def test_what_is_no_number_is_refused(number):
    with pytest.raises(ValidationError):
        Lookup(number=number)


# --- the journal -------------------------------------------------------------------------


def test_a_call_is_read_with_its_times():
    call = entry()
    assert call.start == datetime(2026, 11, 21, 10, tzinfo=UTC)
    assert call.talk_seconds == 60.0
    assert (call.incoming, call.cause) == (True, EndCause.COMPLETED)


@pytest.mark.parametrize("number", ["", "anonymous"])
def test_a_caller_without_a_number_is_journaled_too(number):
    assert entry(number=number).identity != entry().identity


@pytest.mark.parametrize("never", ["", "  ", "0001-01-01T00:00:00Z"])
def test_a_missed_call_has_no_conversation(never):
    call = entry(type="Missed", established=never)
    assert (call.established, call.talk_seconds) == (None, None)
    assert (call.incoming, call.cause) == (True, EndCause.NO_ANSWER)


def test_the_same_call_reported_twice_is_the_same():
    again = entry(start="2026-11-21T11:00:00+01:00", end="2026-11-21T10:02:00Z", name="Ana")
    assert entry().identity == again.identity


@pytest.mark.parametrize(
    "other",
    [
        {"type": "Outbound"},
        {"number": "+491701234568"},
        {"agent": "201"},
        {"start": "2026-11-21T10:00:01Z"},
        {"agent": "2", "number": "00+491701234567"},
    ],
)
def test_another_call_is_another(other):
    assert entry().identity != entry(**other).identity


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"type": "Conference"}, "type"),
        ({"number": "1" * 61}, "number"),
        ({"start": "yesterday"}, "start"),
        ({"agent": "a" * 201}, "agent"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(wrong, field):
    with pytest.raises(ValidationError, match=field):
        entry(**wrong)
