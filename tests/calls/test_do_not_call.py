"""Whom never to call: the list by file, by number, and by what people say themselves."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from calls.errors import FileFaults
from calls.models import DoNotCall
from calls.services.do_not_call import do_not_call_import
from tenants.db import tenant_transaction
from tests.calls.asking import MADRID_AND_CANARIES, SOMEBODY

pytestmark = pytest.mark.django_db


def listed(tenant) -> list[str]:
    with tenant_transaction(tenant.id):
        return [entry.number for entry in DoNotCall.objects.all()]


def test_a_file_of_numbers_is_taken_in_whole(tenant, owner):
    text = "\ufeffTeléfono;Reason\r\n+52 55 9876 5432;asked\r\n\r\n+34 600 000 001;\r\n"
    assert do_not_call_import(tenant=tenant, text=text, actor=owner) == 2
    assert listed(tenant) == [MADRID_AND_CANARIES, SOMEBODY]
    assert do_not_call_import(tenant=tenant, text=text, actor=owner) == 0


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
        do_not_call_import(tenant=tenant, text=text, actor=owner)
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
