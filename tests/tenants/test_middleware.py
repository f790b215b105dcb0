"""Pages: which tenant a request works in, and what is left when it fails."""

from __future__ import annotations

import pytest
from django.test import Client

from tenants.context import maybe_tenant_id
from tenants.db import tenant_transaction
from tenants.models import AuditEntry, Membership, Role
from tests.conftest import log_in

pytestmark = [pytest.mark.urls("tests.tenants.urls"), pytest.mark.django_db]
NOBODY = {"tenant": None, "role": None, "current": False}


def actions(tenant):
    with tenant_transaction(tenant.id):
        return list(AuditEntry.objects.values_list("action", flat=True))


def test_nobody_has_no_tenant(client):
    assert client.get("/who/").json() == NOBODY


def test_a_member_works_in_their_tenant(login, staff):
    assert login(staff).get("/who/").json() == {
        "tenant": "spirit",
        "role": "staff",
        "current": True,
    }
    assert maybe_tenant_id() is None


def test_a_request_with_its_own_credentials_is_left_to_the_api(login, staff):
    assert login(staff).get("/who/", headers={"Authorization": "Bearer x"}).json() == NOBODY


def test_a_template_is_rendered_inside_the_tenant(login, staff, owner, outsider):
    response = login(staff).get("/lazy/")
    assert sorted(response.content.decode().strip("[]").split("][")) == ["owner", "staff"]


def test_a_member_of_two_chooses_and_comes_back(client, login, owner, other_tenant):
    with tenant_transaction(other_tenant.id):
        Membership.objects.create(user=owner, role=Role.ANALYST)
    login(owner)
    assert client.get("/who/").json()["tenant"] == "spirit"
    answer = client.post("/accounts/tenant/", {"tenant": other_tenant.public_id, "next": "/who/"})
    assert (answer.status_code, answer.url) == (302, "/who/")
    assert client.get("/who/").json() == {"tenant": "rival", "role": "analyst", "current": True}
    with tenant_transaction(other_tenant.id):
        Membership.objects.get(user=owner).delete()
    assert client.get("/who/").json()["tenant"] == "spirit"


@pytest.mark.parametrize("wanted", ["theirs", "nonsense", ""])
def test_nobody_switches_into_a_foreign_tenant(client, login, staff, other_tenant, wanted):
    login(staff)
    value = other_tenant.public_id if wanted == "theirs" else wanted
    assert client.post("/accounts/tenant/", {"tenant": value}).status_code == 404
    assert client.get("/who/").json()["tenant"] == "spirit"


def test_switching_leads_to_no_other_site(client, login, staff, tenant):
    login(staff)
    answer = client.post(
        "/accounts/tenant/", {"tenant": tenant.public_id, "next": "https://evil.example/"}
    )
    assert answer.url == "/"


@pytest.mark.parametrize(
    ("then", "status", "kept"),
    [("", 200, True), ("redirect", 302, True), ("error", 500, False), ("missing", 404, False)],
)
def test_what_a_failed_page_wrote_does_not_stay(login, staff, tenant, then, status, kept):
    client = login(staff)
    client.raise_request_exception = False
    assert client.get("/write/", {"then": then}).status_code == status
    assert actions(tenant) == (["page.written"] if kept else [])


@pytest.mark.parametrize("how", ["leaves", "tenant is closed", "is deactivated"])
def test_a_session_ends_with_the_membership(client, login, staff, tenant, how):
    login(staff)
    if how == "leaves":
        with tenant_transaction(tenant.id):
            Membership.objects.get(user=staff).delete()
    elif how == "tenant is closed":
        tenant.is_active = False
        tenant.save()
    else:
        staff.is_active = False
        staff.save()
    assert client.get("/who/").json() == NOBODY


def test_an_operator_is_no_member_by_being_one(login, operator, tenant):
    assert login(operator).get("/who/").json() == NOBODY


def test_a_page_asks_for_login_membership_and_permission(client, login, owner, staff, operator):
    assert client.get("/guarded/").url == "/accounts/login/?next=/guarded/"
    assert login(operator).get("/guarded/").status_code == 403
    assert login(staff).get("/guarded/").status_code == 403
    assert login(owner).get("/guarded/").content == b"in"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "seen"),
    [
        (0, "6.6.6.6", "127.0.0.1"),
        (1, "6.6.6.6", "6.6.6.6"),
        (1, "1.1.1.1, 6.6.6.6", "6.6.6.6"),
        (2, "1.1.1.1, 6.6.6.6, 10.0.0.1", "6.6.6.6"),
        (2, "6.6.6.6", "127.0.0.1"),
        (1, "nonsense", None),
        (1, "2001:DB8::1", "2001:db8::1"),
    ],
)
def test_the_audit_names_the_address_that_our_proxy_saw(
    login, staff, tenant, settings, proxies, forwarded, seen
):
    settings.TRUSTED_PROXY_COUNT = proxies
    login(staff).get("/write/", headers={"X-Forwarded-For": forwarded})
    with tenant_transaction(tenant.id):
        assert AuditEntry.objects.get().ip_address == seen


def test_switching_needs_a_form_of_ours(staff, tenant):
    strict = Client(enforce_csrf_checks=True)
    log_in(strict, staff)
    answer = strict.post("/accounts/tenant/", {"tenant": tenant.public_id})
    assert answer.status_code == 403
