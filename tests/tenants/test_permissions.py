"""Who may do what."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tenants.db import tenant_transaction
from tenants.models import ApiKey, Role
from tenants.models.api_key import hash_secret, parse_api_key
from tenants.permissions import LABELS, ROLE_PERMISSIONS, Permission, has_permission, role_allows
from tenants.selectors import active_tenant_ids, api_key_for, membership_of


def test_every_permission_has_a_label_and_every_role_a_list():
    assert set(LABELS) == set(Permission)
    assert set(ROLE_PERMISSIONS) == set(Role.values)


def test_roles_grow_from_analyst_and_staff_to_manager_to_owner():
    owner, manager = ROLE_PERMISSIONS[Role.OWNER], ROLE_PERMISSIONS[Role.MANAGER]
    assert owner == set(Permission)
    assert ROLE_PERMISSIONS[Role.STAFF] < manager < owner
    assert ROLE_PERMISSIONS[Role.ANALYST] < manager
    assert not role_allows(Role.ANALYST, Permission.RECORDINGS_LISTEN)
    assert not role_allows(Role.STAFF, Permission.AGENTS_EDIT)
    assert not role_allows("king", Permission.CALLS_VIEW)


@pytest.mark.parametrize("inside", [True, False])
def test_a_membership_counts_in_its_own_tenant_only(tenant, other_tenant, owner, outsider, inside):
    def ask() -> list[bool]:
        return [
            has_permission(owner, tenant.id, Permission.AGENTS_EDIT),
            has_permission(owner, other_tenant.id, Permission.AGENTS_EDIT),
            has_permission(outsider, tenant.id, Permission.CALLS_VIEW),
            has_permission(outsider, other_tenant.id, Permission.CALLS_VIEW),
        ]

    if inside:
        with tenant_transaction(tenant.id):
            assert ask() == [True, False, False, True]
    else:
        assert ask() == [True, False, False, True]


def test_nobody_in_particular_may_nothing(tenant, operator, owner):
    owner.is_active = False
    for who in (None, "owner", operator, owner):
        assert not has_permission(who, tenant.id, Permission.CALLS_VIEW)
    assert membership_of(operator, tenant.id) is None


def test_a_key_may_what_its_scopes_say_in_its_own_tenant(tenant, other_tenant, make_api_key):
    key = api_key_for(make_api_key(tenant, ["calls.view", "nonsense"]))
    assert key is not None
    assert has_permission(key, tenant.id, Permission.CALLS_VIEW)
    assert not has_permission(key, tenant.id, Permission.CALLS_CONTROL)
    assert not has_permission(key, other_tenant.id, Permission.CALLS_VIEW)
    key.revoked_at = timezone.now()
    assert not has_permission(key, tenant.id, Permission.CALLS_VIEW)


def test_a_key_opens_with_its_own_secret_only(tenant, make_api_key):
    text = make_api_key(tenant, [])
    other = make_api_key(tenant, [])
    assert api_key_for(text) is not None
    forged = text.rsplit("_", 1)[0][:19] + "_" + other.split("_", 2)[2]
    for wrong in (
        forged,
        text + "x",
        text[:-1],
        "",
        "andrea__",
        "andrea_short_x",
        "Bearer",
        other.upper(),
    ):
        assert api_key_for(wrong) is None, wrong


@pytest.mark.parametrize(
    ("fields", "usable"),
    [
        ({}, True),
        ({"expires_at": timezone.now() + timedelta(hours=1)}, True),
        ({"expires_at": timezone.now() - timedelta(seconds=1)}, False),
        ({"revoked_at": timezone.now()}, False),
    ],
)
def test_an_expired_or_revoked_key_opens_nothing(tenant, make_api_key, fields, usable):
    assert (api_key_for(make_api_key(tenant, [], **fields)) is not None) is usable


def test_the_secret_is_not_stored(tenant, make_api_key):
    _prefix, secret = parse_api_key(make_api_key(tenant, [])) or ("", "")
    with tenant_transaction(tenant.id):
        key = ApiKey.objects.get()
        assert key.secret_hash == hash_secret(secret)
        assert all(secret not in str(value) for value in vars(key).values())
        assert secret not in str(key)
    assert len(secret) >= 43


def test_active_tenants_are_listed_for_periodic_work(tenant, other_tenant):
    other_tenant.is_active = False
    other_tenant.save()
    assert list(active_tenant_ids()) == [tenant.id]
