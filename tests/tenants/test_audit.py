"""What the audit trail says, and what it must not say."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.core.exceptions import PermissionDenied

from tenants import audit
from tenants.db import tenant_transaction
from tenants.errors import NoTenant
from tenants.models import ApiKey, AuditEntry
from tenants.operators import is_operating, operator_transaction
from tests.rows import build_row, make_row


def test_an_entry_says_who_did_what_to_which(in_tenant, owner):
    key = make_row(ApiKey, name="crm")
    entry = audit.record(action="key.made", actor=owner, target=key, changes={"name": ["", "crm"]})
    stored = AuditEntry.objects.get(pk=entry.pk)
    assert (stored.actor, stored.actor_label, stored.is_operator) == (owner, owner.email, False)
    assert (stored.target_type, stored.target_id) == ("tenants.apikey", str(key.public_id))
    assert stored.target_label.startswith("crm (andrea_")
    assert stored.changes == {"name": ["", "crm"]}
    assert "key.made" in str(stored)


def test_keys_and_parts_of_the_system_are_actors_too(in_tenant):
    key = make_row(ApiKey, name="crm")
    assert audit.record(action="a", actor=key).actor_label.startswith("API key crm")
    assert audit.record(action="a", actor="sweeper").actor_label == "sweeper"
    assert audit.record(action="a", actor="x" * 500).actor_label == "x" * 200


def test_nothing_is_recorded_outside_a_tenant(owner):
    with pytest.raises(NoTenant):
        audit.record(action="a", actor=owner)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"password": "hunter2"}, {"password": audit.MASK}),
        ({"secret_hash": ["aa", "bb"]}, {"secret_hash": [audit.MASK, audit.MASK]}),
        ({"api_key": "", "token": None}, {"api_key": "", "token": None}),
        ({"azure_key": "k", "monkey": "m"}, {"azure_key": audit.MASK, "monkey": "m"}),
        ({"deep": [{"authToken": "t", "n": 1}]}, {"deep": [{"authToken": audit.MASK, "n": 1}]}),
        ({"credentials": {"user": "u"}}, {"credentials": {"user": "u"}}),
        ({"prefix": ["a", "b"], "keyterms": ["x"]}, {"prefix": ["a", "b"], "keyterms": ["x"]}),
    ],
)
def test_secrets_are_masked_at_any_depth(in_tenant, given, kept):
    audit.record(action="a", actor="test", changes=given)
    assert AuditEntry.objects.get().changes == kept


def test_a_snapshot_is_plain_and_a_difference_is_what_changed(in_tenant, owner):
    key = build_row(ApiKey, name="old", expires_at=dt.datetime(2030, 1, 2, tzinfo=dt.UTC))
    before = audit.snapshot(key)
    key.name, key.created_by, key.public_id = "new", owner, uuid.UUID(int=7)
    found = audit.difference(before, audit.snapshot(key))
    assert found["name"] == ["old", "new"]
    assert found["created_by"] == [None, owner.pk]
    assert found["public_id"][1] == str(uuid.UUID(int=7))
    assert set(found) == {"name", "created_by", "public_id"}
    assert before["expires_at"] == "2030-01-02T00:00:00Z"
    assert "updated_at" not in before


def test_an_operator_may_change_over_and_is_marked(tenant, other_tenant, operator):
    with operator_transaction(tenant.id, operator=operator):
        audit.record(action="first", actor=operator)
        with operator_transaction(other_tenant.id, operator=operator):
            audit.record(action="second", actor=operator)
        audit.record(action="third", actor=operator)
    assert not is_operating()
    for each, actions in ((tenant, ["third", "first"]), (other_tenant, ["second"])):
        with tenant_transaction(each.id):
            entries = list(AuditEntry.objects.all())
            assert [entry.action for entry in entries] == actions
            assert all(entry.is_operator for entry in entries)


def test_nobody_else_takes_the_operators_way(tenant, owner, operator):
    operator.is_active = False
    for user in (owner, operator):
        with pytest.raises(PermissionDenied), operator_transaction(tenant.id, operator=user):
            pytest.fail("got in")
