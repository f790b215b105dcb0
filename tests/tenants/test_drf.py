"""The API: session or key, one tenant, one transaction."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.utils import timezone

from tenants.db import tenant_transaction
from tenants.drf import TenantRateThrottle
from tenants.models import ApiKey, AuditEntry
from tenants.permissions import Permission
from tests.conftest import log_in

pytestmark = [pytest.mark.urls("tests.tenants.urls"), pytest.mark.django_db]
MEMBERS = "/api/members/"


def with_key(text: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {text}"}, raise_request_exception=False)


def actions(tenant):
    with tenant_transaction(tenant.id):
        return list(AuditEntry.objects.values_list("action", "actor_label"))


def test_nobody_is_asked_for_a_key(client):
    response = client.get(MEMBERS)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"


def test_a_member_and_a_key_see_their_own_tenant(
    login, owner, staff, outsider, tenant, make_api_key
):
    expected = sorted([owner.email, staff.email])
    key = make_api_key(tenant, [Permission.MEMBERS_VIEW])
    assert sorted(login(staff).get(MEMBERS).json()) == expected
    assert sorted(with_key(key).get(MEMBERS).json()) == expected


def test_another_tenants_key_sees_its_own(outsider, owner, other_tenant, make_api_key):
    key = make_api_key(other_tenant, [Permission.MEMBERS_VIEW])
    assert with_key(key).get(MEMBERS).json() == [outsider.email]


def test_the_key_counts_and_not_the_session_beside_it(
    login, owner, outsider, other_tenant, make_api_key
):
    key = make_api_key(other_tenant, [Permission.MEMBERS_VIEW])
    response = login(owner).get(MEMBERS, headers={"Authorization": f"Bearer {key}"})
    assert response.json() == [outsider.email]


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer", "Basic YTpi", "Token x", ""])
def test_wrong_credentials_are_refused_even_with_a_session(login, owner, header):
    response = login(owner).get(MEMBERS, headers={"Authorization": header})
    assert response.status_code == 401


def test_a_revoked_key_is_refused(tenant, make_api_key):
    key = make_api_key(tenant, [Permission.MEMBERS_VIEW], revoked_at=timezone.now())
    assert with_key(key).get(MEMBERS).status_code == 401


def test_scope_and_role_decide_by_method(login, owner, staff, tenant, make_api_key):
    reader = make_api_key(tenant, [Permission.MEMBERS_VIEW])
    assert with_key(reader).post(MEMBERS).status_code == 403
    assert login(staff).post(MEMBERS).status_code == 403
    assert actions(tenant) == []
    assert login(owner).post(MEMBERS).status_code == 201
    writer = make_api_key(tenant, [Permission.MEMBERS_MANAGE])
    assert with_key(writer).post(MEMBERS).status_code == 201
    assert with_key(writer).put(MEMBERS).status_code == 403
    labels = [label for _action, label in actions(tenant)]
    assert labels[1] == owner.email
    assert labels[0].startswith("API key test (andrea_")


@pytest.mark.parametrize(("then", "status"), [("invalid", 400), ("error", 500)])
def test_what_a_failed_call_wrote_does_not_stay(owner, tenant, make_api_key, then, status):
    writer = make_api_key(tenant, [Permission.MEMBERS_MANAGE])
    assert with_key(writer).post(MEMBERS, {"then": then}).status_code == status
    assert actions(tenant) == []


def test_a_view_that_declares_no_permission_does_not_work(login, owner):
    with pytest.raises(ImproperlyConfigured, match="Undeclared"):
        login(owner).get("/api/undeclared/")


def test_an_action_that_is_not_named_is_refused(login, owner):
    assert login(owner).get("/api/by-action/").json() == "listed"
    assert login(owner).post("/api/by-action/").status_code == 403


def test_a_user_without_a_tenant_is_refused(login, operator):
    assert login(operator).get(MEMBERS).status_code == 403


def test_a_session_needs_a_csrf_token_and_a_key_does_not(owner, tenant, make_api_key):
    strict = Client(enforce_csrf_checks=True)
    log_in(strict, owner)
    assert strict.post(MEMBERS).status_code == 403
    key = make_api_key(tenant, [Permission.MEMBERS_MANAGE])
    by_key = Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {key}"})
    assert by_key.post(MEMBERS).status_code == 201


def test_use_is_noted_at_most_once_a_minute(tenant, make_api_key):
    key = make_api_key(tenant, [Permission.MEMBERS_VIEW])

    def last_used():
        with tenant_transaction(tenant.id):
            return ApiKey.objects.get().last_used_at

    with_key(key).get(MEMBERS)
    first = last_used()
    assert first is not None
    with_key(key).get(MEMBERS)
    assert last_used() == first


def test_one_callers_limit_is_not_anothers(tenant, other_tenant, make_api_key, monkeypatch):
    monkeypatch.setattr(TenantRateThrottle, "THROTTLE_RATES", {"tenant": "2/min"})
    busy, calm = (make_api_key(each, [Permission.MEMBERS_VIEW]) for each in (tenant, other_tenant))
    assert [with_key(busy).get(MEMBERS).status_code for _ in range(3)] == [200, 200, 429]
    assert with_key(calm).get(MEMBERS).status_code == 200
