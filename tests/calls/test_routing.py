"""Who takes a call: by number, rule, hours, holiday and caller; decided, and taken notice of."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from agents.models import Agent
from agents.selectors import published_version
from calls.carriers.reception import Refusal, Welcome, receive
from calls.line.setup import opening_of
from calls.models import (
    Call,
    Holiday,
    Number,
    OpeningHours,
    OpeningInterval,
    RoutingChoice,
    RoutingRule,
)
from calls.routing import NoPublishedAgent, route
from calls.services.intake import Ring
from tenants.db import tenant_transaction
from tenants.middleware import OPERATOR_TENANT
from tests.calls.conftest import Desk, staff_desk
from tests.rows import make_row

pytestmark = pytest.mark.django_db

CALLER = "+525598765432"
MONDAY_NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)  # 12:00 in Mexico
MONDAY_NIGHT = datetime(2026, 11, 24, 3, tzinfo=UTC)  # 21:00
CHRISTMAS_NOON = datetime(2026, 12, 25, 18, tzinfo=UTC)


@pytest.fixture
def night(tenant) -> Desk:
    return staff_desk(tenant, "+525512340009", slug="night")


@pytest.fixture
def inside(tenant):
    with tenant_transaction(tenant.id):
        yield tenant


@pytest.fixture
def hours(desk, night, inside) -> OpeningHours:
    """Weekdays nine to six in Mexico; at night another agent, with words of its own."""
    made = OpeningHours.objects.create(
        name="Office", time_zone="America/Mexico_City", agent=night.agent,
        greeting={"es": "Está cerrado.", "en": "We are closed."},
    )  # fmt: skip
    for weekday in range(5):
        OpeningInterval.objects.create(hours=made, weekday=weekday, opens=time(9), closes=time(18))
    return made


@pytest.fixture
def ruled(desk, hours) -> Number:
    """The desk's number, by a rule instead of its agent."""
    number = Number.objects.get(e164=desk.number)
    number.rule = RoutingRule.objects.create(name="Day and night", agent=desk.agent, hours=hours)
    number.agent = None
    number.save()
    return number


def decided(number, now=MONDAY_NOON, caller=CALLER):
    found = route(number, caller, now)
    assert found.version == published_version(found.agent)
    return found.agent.slug, found.reason, found.greeting_in("es")


def test_a_number_with_an_agent_is_that_agents_at_any_time(desk, inside):
    number = Number.objects.get(e164=desk.number)
    assert decided(number, MONDAY_NIGHT) == ("andrea", "always", "")


def test_within_the_hours_the_usual_agent_answers_as_always(ruled):
    assert decided(ruled) == ("andrea", "open", "")


def test_outside_the_hours_their_own_agent_answers_with_their_greeting(ruled):
    assert decided(ruled, MONDAY_NIGHT) == ("night", "closed", "Está cerrado.")


def test_hours_without_an_agent_of_their_own_leave_the_usual_one_and_change_the_greeting(
    ruled, hours
):
    hours.agent = None
    hours.save()
    ruled.refresh_from_db()
    assert decided(ruled, MONDAY_NIGHT) == ("andrea", "closed", "Está cerrado.")


def test_a_holiday_has_a_greeting_of_its_own_in_the_languages_it_names(ruled, hours):
    Holiday.objects.create(hours=hours, day=date(2026, 12, 25), greeting={"es": "Feliz Navidad."})
    assert decided(ruled, CHRISTMAS_NOON) == ("night", "holiday", "Feliz Navidad.")
    assert route(ruled, CALLER, CHRISTMAS_NOON).greeting_in("en") == "We are closed."


def test_a_holiday_may_have_an_agent_and_hours_of_its_own(ruled, hours, desk):
    Holiday.objects.create(
        hours=hours, day=date(2026, 12, 25), opens=time(12), closes=time(13), agent=desk.agent
    )
    assert decided(ruled, CHRISTMAS_NOON) == ("andrea", "open", "")
    before = datetime(2026, 12, 25, 17, 59, tzinfo=UTC)
    assert decided(ruled, before) == ("andrea", "holiday", "Está cerrado.")


def test_the_longest_beginning_of_the_callers_number_decides(ruled, desk, night):
    for prefix, agent in (("+1", desk.agent), ("+1415", night.agent)):
        RoutingChoice.objects.create(rule=ruled.rule, caller_prefix=prefix, agent=agent)
    assert decided(ruled, caller="+14155550100")[0] == "night"
    assert decided(ruled, caller="+12125550100")[0] == "andrea"
    assert decided(ruled, caller="anonymous")[0] == "andrea"


def test_an_agent_who_cannot_take_calls_leaves_it_to_who_usually_does(ruled, night):
    Agent.objects.filter(pk=night.agent.pk).update(is_active=False)
    ruled = Number.objects.get(pk=ruled.pk)
    assert decided(ruled, MONDAY_NIGHT) == ("andrea", "closed", "Está cerrado.")
    Agent.objects.update(is_active=False)
    ruled = Number.objects.get(pk=ruled.pk)
    with pytest.raises(NoPublishedAgent):
        route(ruled, CALLER, MONDAY_NIGHT)


def test_a_number_has_an_agent_or_a_rule_and_never_both_or_none(ruled, desk):
    for agent, rule in ((desk.agent, ruled.rule), (None, None)):
        with pytest.raises(IntegrityError), transaction.atomic():
            Number.objects.create(e164="+525512340077", agent=agent, rule=rule)


def test_a_call_outside_the_hours_is_taken_and_greeted_accordingly(ruled, hours, monkeypatch):
    OpeningInterval.objects.all().delete()  # always closed: whatever time the test runs at
    answer = receive(Ring("twilio", "CA1", CALLER, ruled.e164), accepting=True)
    assert isinstance(answer, Welcome)
    call = Call.objects.get(public_id=answer.public_id)
    assert (call.agent.slug, call.routing, call.greeting) == ("night", "closed", "Está cerrado.")
    said = opening_of(call.version, "twilio", call.language, 8000, greeting=call.greeting)
    assert said.greeting == "Está cerrado."
    assert "Está cerrado." in said.texts()  # so it is prepared while the phone rings
    assert opening_of(call.version, "twilio", "es", 8000).greeting == "Hola."


def test_a_busy_line_is_told_of_in_the_language_of_whoever_would_answer(tenant, other_tenant):
    desk = staff_desk(other_tenant, "+14155550002", language="en")
    with tenant_transaction(other_tenant.id):
        rule = RoutingRule.objects.create(name="All", agent=desk.agent)
        Number.objects.filter(e164=desk.number).update(agent=None, rule=rule)
    answer = receive(Ring("twilio", "CA1", CALLER, desk.number), accepting=False)
    assert isinstance(answer, Refusal)
    assert answer.language == "en"


# --- the back office ----------------------------------------------------------------------


@pytest.fixture
def office(login, operator, tenant):
    client = login(operator)
    session = client.session
    session[OPERATOR_TENANT] = tenant.pk
    session.save()
    return client


def inline(prefix, *rows):
    """The fields of an inline formset with new rows."""
    found = {f"{prefix}-TOTAL_FORMS": len(rows), f"{prefix}-INITIAL_FORMS": 0}
    for place, row in enumerate(rows):
        found |= {f"{prefix}-{place}-{name}": value for name, value in row.items()}
    return found


def faults(page):
    """Everything that the page says is wrong."""
    form = page.context["adminform"].form
    found = [text for texts in form.errors.values() for text in texts]
    for formset in page.context["inline_admin_formsets"]:
        found += [
            str(text) for row in formset.formset.errors for texts in row.values() for text in texts
        ]
        found += formset.formset.non_form_errors()
    return found


def test_a_number_is_kept_as_networks_know_it_however_it_was_written(office, desk):
    sent = {"e164": "+52 (55) 1234-5678", "agent": desk.agent.pk, "is_active": "on"}
    page = office.post(reverse("admin:calls_number_add"), {"carrier": "twilio", **sent})
    assert page.status_code == 302, faults(page)
    with tenant_transaction(desk.tenant.id):
        assert Number.objects.filter(e164="+525512345678").exists()


@pytest.mark.parametrize(
    ("number", "english", "spanish"),
    [
        ("5512345678", "is no number: write +, country code", "no es un número: escriba +"),
        ("+52551", "too few or too many digits", "le faltan o le sobran dígitos"),
    ],
)
def test_what_is_no_number_is_refused_with_the_reason(office, desk, number, english, spanish):
    for language, reason in (("en", english), ("es", spanish)):
        page = office.post(
            reverse("admin:calls_number_add"),
            {"e164": number, "agent": desk.agent.pk, "carrier": "twilio"},
            headers={"accept-language": language},
        )
        assert any(reason in text for text in faults(page)), faults(page)


def test_a_number_without_anybody_to_answer_is_refused_with_the_reason(office, tenant):
    page = office.post(
        reverse("admin:calls_number_add"), {"e164": "+525512345678", "carrier": "twilio"},
        headers={"accept-language": "en"},
    )  # fmt: skip
    assert "Choose an agent or a routing rule, one of the two." in faults(page)


def test_opening_hours_are_made_with_their_week_and_holidays(office, desk):
    sent = {
        "name": "Office", "time_zone": "Europe/Madrid", "agent": "", "greeting_es": "Cerrado.",
        **inline("intervals", {"weekday": 0, "opens": "09:00", "closes": "18:00"}),
        **inline("holidays", {"day": "2026-12-25", "name": "Navidad", "greeting_es": "Felices."}),
    }  # fmt: skip
    page = office.post(reverse("admin:calls_openinghours_add"), sent)
    assert page.status_code == 302, faults(page)
    with tenant_transaction(desk.tenant.id):
        made = OpeningHours.objects.get()
        assert made.greeting == {"es": "Cerrado."}
        assert made.holidays.get().greeting == {"es": "Felices."}
        assert str(made.intervals.get().opens) == "09:00:00"
    listed = office.get(reverse("admin:calls_openinghours_changelist"))
    assert listed.status_code == 200


def test_half_a_holiday_and_an_unknown_zone_are_refused_with_the_reason(office, tenant):
    sent = {
        "name": "Office", "time_zone": "Mexico", **inline("intervals"),
        **inline("holidays", {"day": "2026-12-25", "opens": "09:00"}),
    }  # fmt: skip
    address = reverse("admin:calls_openinghours_add")
    page = office.post(
        address, {**sent, "time_zone": "Mexico City"}, headers={"accept-language": "en"}
    )
    found = " ".join(faults(page))
    assert "is not an IANA time zone" in found
    assert "Say both when it opens and when it closes, or neither." in found


def test_opening_hours_that_are_there_already_are_refused_with_the_reason(office, desk):
    address = reverse("admin:calls_openinghours_add")
    sent = {"name": "Office", "time_zone": "UTC", **inline("intervals"), **inline("holidays")}
    assert office.post(address, sent).status_code == 302
    page = office.post(address, sent, headers={"accept-language": "en"})
    assert "There are opening hours of that name already." in faults(page)
    with tenant_transaction(desk.tenant.id):
        assert OpeningHours.objects.count() == 1


def test_two_holidays_on_one_date_are_refused_at_once(office, desk):
    day = {"day": "2026-12-25", "name": "Navidad"}
    twice = {
        **inline("holidays", day),
        "holidays-TOTAL_FORMS": 2,
        **{f"holidays-1-{name}": text for name, text in day.items()},
    }
    sent = {"name": "Office", "time_zone": "UTC", **inline("intervals"), **twice}
    page = office.post(reverse("admin:calls_openinghours_add"), sent)
    assert page.status_code == 200
    with tenant_transaction(desk.tenant.id):
        assert not OpeningHours.objects.exists()


def test_a_number_that_another_tenant_has_is_refused(office, desk, other_tenant):
    with tenant_transaction(other_tenant.id):
        taken = make_row(Number)
    sent = {"e164": taken.e164, "carrier": "twilio", "agent": desk.agent.pk, "is_active": "on"}
    page = office.post(
        reverse("admin:calls_number_add"), sent, follow=True, headers={"accept-language": "en"}
    )
    assert page.status_code == 200
    assert "It is there already, perhaps at another tenant" in page.content.decode()
    with tenant_transaction(desk.tenant.id):
        assert not Number.objects.filter(e164=taken.e164).exists()


def test_a_rule_is_made_with_its_agents_by_caller(office, desk, night):
    sent = {
        "name": "By country", "agent": desk.agent.pk, "hours": "",
        **inline("choices", {"caller_prefix": "+1", "agent": night.agent.pk}),
    }  # fmt: skip
    page = office.post(reverse("admin:calls_routingrule_add"), sent)
    assert page.status_code == 302, faults(page)
    with tenant_transaction(desk.tenant.id):
        assert RoutingRule.objects.get().choices.get().agent == night.agent


def test_another_tenants_agent_is_no_choice_for_a_rule(office, desk, other_desk):
    sent = {"name": "Theirs", "agent": other_desk.agent.pk, "hours": "", **inline("choices")}
    page = office.post(reverse("admin:calls_routingrule_add"), sent)
    assert page.status_code == 200
    with tenant_transaction(desk.tenant.id):
        assert not RoutingRule.objects.exists()
