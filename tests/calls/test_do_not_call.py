"""Whom never to call: the list by file, by number, and by what people say themselves."""

from __future__ import annotations

import itertools
import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.urls import reverse

from calls import tasks
from calls.errors import FileFaults
from calls.models import DoNotCall, Message, Number
from calls.services.do_not_call import do_not_call_add, do_not_call_import
from calls.services.opting_out import BY_THEMSELVES, word_heed
from tenants.db import tenant_transaction
from tenants.models import AuditEntry, Tenant, User
from tests.calls.asking import MADRID_AND_CANARIES, SOMEBODY

pytestmark = pytest.mark.django_db


def take_in(tenant: Tenant, text: str, actor: User | str) -> int:
    with tenant_transaction(tenant.id):
        return do_not_call_import(text=text, actor=actor)


def listed(tenant) -> list[str]:
    with tenant_transaction(tenant.id):
        return [entry.number for entry in DoNotCall.objects.all()]


def test_a_file_of_numbers_is_taken_in_whole(tenant, owner):
    text = "\ufeffTeléfono;Reason\r\n+52 55 9876 5432;asked\r\n\r\n+34 600 000 001;\r\n"
    assert take_in(tenant, text, owner) == 2
    assert listed(tenant) == [MADRID_AND_CANARIES, SOMEBODY]
    assert take_in(tenant, text, owner) == 0


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("number\n+525598765432\nnobody\n+52551\n", [3, 4]),
        ("number\n+525598765432\n+52 55 98765432\n", [3]),
        ("number,reason\n,why\n", [2]),
        ("number,color\n+525598765432,red\n", [1]),
        ("name\nMaría\n", [1]),
        ("number,number\n+525598765432,+525598765432\n", [1]),
        ("number\n", [1]),
        ("", [1]),
        ("number\n+525598765432,1,2\n", [2]),
        ('number\n"+525598765432\n', [2]),
        ("number\n+5255\x00\n", [1]),
    ],
)
def test_a_faulty_file_is_refused_by_line_and_nothing_of_it_is_taken(tenant, owner, text, faults):
    with pytest.raises(FileFaults) as refused:
        take_in(tenant, text, owner)
    assert [line for line, _reason in refused.value.problems] == faults
    assert listed(tenant) == []


def test_the_back_office_takes_a_file_and_shows_what_is_wrong_with_another(office, tenant):
    address = reverse("admin:calls_donotcall_import_numbers")
    assert office.get(address).status_code == 200
    bad = SimpleUploadedFile("list.csv", b"number\n+525598765432\nnobody\n")
    page = office.post(address, {"file": bad})
    assert "Line 3" in page.content.decode()
    assert listed(tenant) == []
    good = SimpleUploadedFile("list.csv", b"number,reason\n+525598765432,asked\n")
    assert office.post(address, {"file": good}).status_code == 302
    assert listed(tenant) == [SOMEBODY]


@pytest.mark.parametrize(
    ("name", "content"), [("list.txt", b"number\n"), ("list.csv", b"\xff\xfe\x00n")]
)
def test_what_is_no_csv_file_is_refused(office, tenant, name, content):
    address = reverse("admin:calls_donotcall_import_numbers")
    page = office.post(address, {"file": SimpleUploadedFile(name, content)})
    assert page.status_code == 200
    assert page.context["form"].errors["file"]


def test_a_number_that_is_entered_says_by_whom(office, tenant, operator):
    office.post(reverse("admin:calls_donotcall_add"), {"number": SOMEBODY, "reason": "asked"})
    assert entries(tenant) == [(SOMEBODY, "asked", "entered", str(operator))]


# --- over HTTP ----------------------------------------------------------------------------


LIST = "/api/v1/do-not-call/"


def entries(tenant: Tenant) -> list[tuple[str, str, str, str]]:
    with tenant_transaction(tenant.id):
        return [
            (entry.number, entry.reason, entry.source, entry.added_by)
            for entry in DoNotCall.objects.order_by("pk")
        ]


@pytest.fixture
def api(client, make_api_key, tenant):
    key = make_api_key(tenant, ["calls.view", "calls.control", "settings.manage"])
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


def test_a_number_is_put_on_the_list_found_there_and_taken_off_it(api, tenant):
    asked = {"number": "+52 (55) 9876-5432", "reason": "by e-mail"}
    added = api.post(LIST, asked, content_type="application/json")
    assert added.status_code == 201, added.content
    again = api.post(LIST, {"number": SOMEBODY}, content_type="application/json")
    assert (again.status_code, again.json()) == (200, added.json())
    ((number, reason, source, by),) = entries(tenant)
    assert (number, reason, source) == (SOMEBODY, "by e-mail", "entered")
    assert by.startswith("API key test")
    for written in (SOMEBODY, "%2B525598765432", "+52 55 9876 5432"):
        assert api.get(f"{LIST}{written}/").json() == added.json()
    assert api.get(LIST).json()["results"] == [added.json()]
    assert api.delete(f"{LIST}{SOMEBODY}/").status_code == 204
    assert api.get(f"{LIST}{SOMEBODY}/").status_code == 404
    assert api.delete(f"{LIST}{SOMEBODY}/").status_code == 404
    with tenant_transaction(tenant.id):
        trail = AuditEntry.objects.filter(action__startswith="donotcall.").order_by("pk")
        assert [entry.action for entry in trail] == ["donotcall.created", "donotcall.deleted"]
        assert trail[1].changes["number"] == [SOMEBODY, None]


@pytest.mark.parametrize("number", ["", "5598765432", "+52551", "me", "+525598765432\x00", None])
def test_what_is_no_number_is_refused(api, tenant, number):
    answer = api.post(LIST, {"number": number}, content_type="application/json")
    assert (answer.status_code, list(answer.json())) == (400, ["number"])
    assert entries(tenant) == []
    assert api.get(f"{LIST}nobody/").status_code == 404


def test_a_file_is_taken_in_over_http_or_refused_by_line(api, tenant):
    bad = api.post(f"{LIST}import/", f"number\n{SOMEBODY}\nnobody\n", content_type="text/csv")
    assert bad.status_code == 400
    assert [int(each["line"]) for each in bad.json()["lines"]] == [3]
    assert entries(tenant) == []
    good = f"number,reason\n{SOMEBODY},asked\n{MADRID_AND_CANARIES},\n"
    answer = api.post(f"{LIST}import/", good, content_type="text/csv")
    assert (answer.status_code, answer.json()) == (200, {"new": 2})
    assert {source for _number, _reason, source, _by in entries(tenant)} == {"imported"}
    assert api.post(f"{LIST}import/", b"number\n\xff", content_type="text/csv").status_code == 400


def test_the_list_is_paged_and_narrowed_by_source(api, tenant):
    take_in(tenant, f"number\n{SOMEBODY}\n{MADRID_AND_CANARIES}\n", "tests")
    page = api.get(f"{LIST}?page_size=1").json()
    assert len(page["results"]) == 1
    assert len(api.get(page["next"]).json()["results"]) == 1
    assert api.get(f"{LIST}?source=entered").json()["results"] == []
    assert len(api.get(f"{LIST}?source=imported").json()["results"]) == 2
    assert api.get(f"{LIST}?source=rumour").status_code == 400


def test_who_may_not_change_the_list_does_not(client, login, tenant, staff, make_member):
    take_in(tenant, f"number\n{SOMEBODY}\n", "tests")
    before = entries(tenant)
    assert login(staff).delete(f"{LIST}{SOMEBODY}/").status_code == 403
    answer = client.post(f"{LIST}import/", "number\n", content_type="text/csv")
    assert answer.status_code == 403
    analyst = login(make_member(tenant, "analyst"))
    other = {"number": MADRID_AND_CANARIES}
    assert analyst.post(LIST, other, content_type="application/json").status_code == 403
    assert entries(tenant) == before


def test_another_tenants_list_is_not_to_be_seen_or_changed(api, tenant, other_tenant):
    take_in(other_tenant, f"number\n{SOMEBODY}\n", "tests")
    assert api.get(LIST).json()["results"] == []
    assert api.delete(f"{LIST}{SOMEBODY}/").status_code == 404
    asked = {"number": SOMEBODY}
    assert api.post(LIST, asked, content_type="application/json").status_code == 201
    assert len(entries(tenant)) == len(entries(other_tenant)) == 1


# --- by what people write -----------------------------------------------------------------


NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def write(desk, sent_messages):
    """Somebody writes to the desk: `write("STOP")`, `minute` minutes past noon."""
    numbers = itertools.count(1)
    with tenant_transaction(desk.tenant.id):
        Number.objects.update(carrier="telnyx")

    def write(text: str, minute: int = 0, kind: str = "sms") -> Message:
        with tenant_transaction(desk.tenant.id):
            message = Message.objects.create(
                direction="inbound",
                kind=kind,
                carrier="telnyx",
                carrier_id=str(next(numbers)),
                number=Number.objects.get(),
                own_number=desk.number,
                party=SOMEBODY,
                text=text,
                state="received",
                at=NOON + timedelta(minutes=minute),
            )
            word_heed(message=message)
            return message

    return write


@pytest.fixture
def sent_messages(monkeypatch):
    monkeypatch.setattr(tasks.send_message, "delay", lambda *_ids: None)


def answers(tenant: Tenant) -> list[str]:
    with tenant_transaction(tenant.id):
        return [message.text for message in Message.objects.filter(direction="outbound")]


@pytest.mark.parametrize(
    ("stop", "start", "answer"),
    [
        ("STOP", "START", "Reply STOP"),
        ("Baja", " ¡Alta! ", "Responda BAJA"),
        ("baja", "unstop", "Reply STOP"),
    ],
)
def test_who_took_themselves_off_may_come_back_and_is_told_in_their_language(
    write, tenant, stop, start, answer
):
    write(stop)
    assert listed(tenant) == [SOMEBODY]
    message = write(start, 1)
    assert listed(tenant) == []
    (told,) = answers(tenant)
    assert answer in told
    assert told.startswith("Spirit Tours")
    with tenant_transaction(tenant.id):
        assert AuditEntry.objects.get(action="donotcall.deleted").actor_label == BY_THEMSELVES
        word_heed(message=message)  # told twice
    write("START", 2)
    assert len(answers(tenant)) == 1


@pytest.mark.parametrize("source", ["entered", "imported", "asked"])
def test_what_others_put_on_the_list_stays_there(write, tenant, source):
    with tenant_transaction(tenant.id):
        DoNotCall.objects.create(number=SOMEBODY, source=source)
    write("STOP")
    write("START", 1)
    assert [entry[2] for entry in entries(tenant)] == [source]
    assert answers(tenant) == []


@pytest.mark.parametrize("how", ["by number", "by file"])
def test_what_was_asked_for_by_both_cannot_be_taken_back_by_one(write, tenant, how):
    write("STOP")
    if how == "by file":
        assert take_in(tenant, f"number\n{SOMEBODY}\n", "tests") == 0
    else:
        with tenant_transaction(tenant.id):
            source = DoNotCall.Source.ENTERED
            _entry, is_new = do_not_call_add(number=SOMEBODY, actor="tests", source=source)
        assert not is_new
    write("START", 1)
    assert [(entry[2], entry[3]) for entry in entries(tenant)] == [
        ("imported" if how == "by file" else "entered", "tests")
    ]


def test_the_last_word_counts_in_whichever_order_they_come(write, tenant):
    write("START", 5)
    write("STOP", 3)
    assert listed(tenant) == []
    write("STOP", 9)
    write("START", 7)
    assert listed(tenant) == [SOMEBODY]
    assert answers(tenant) == []


def test_a_word_waits_for_the_other_that_is_being_heeded(transactional_db, write, tenant):
    """The STOP must not find the entry that the START is about to delete."""
    write("STOP")

    def stop_again() -> None:
        try:
            write("STOP", 2)
        finally:
            connection.close()

    later = threading.Thread(target=stop_again)
    with tenant_transaction(tenant.id):
        write("START", 1)
        later.start()
        while later.is_alive() and not waits_for_a_lock():
            later.join(0.01)
    later.join()
    assert listed(tenant) == [SOMEBODY]


def waits_for_a_lock() -> bool:
    """Whether anybody in this database waits for a lock by name."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database "
            "WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
        )
        return bool(cursor.fetchone()[0])


@pytest.mark.parametrize("text", ["yes", "sí", "start at nine", "alta mar", "", "🙂"])
def test_coming_back_takes_a_word_of_its_own(write, tenant, text):
    write("STOP")
    write(text, 1)
    assert listed(tenant) == [SOMEBODY]


def test_a_number_that_cannot_answer_takes_them_back_without_a_word(write, tenant):
    write("STOP")
    with tenant_transaction(tenant.id):
        Number.objects.update(is_active=False)
    write("START", 1)
    assert (listed(tenant), answers(tenant)) == ([], [])


def test_on_whatsapp_too(write, tenant):
    write("baja", kind="whatsapp")
    later = (datetime.now(UTC) - NOON) / timedelta(minutes=1)
    write("alta", int(later), kind="whatsapp")
    assert listed(tenant) == []
    assert len(answers(tenant)) == 1
