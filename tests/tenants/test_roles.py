"""The application refuses a database role on which row-level security would not hold."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from django.db import connections

from tenants import roles
from tenants.roles import UnsafeRole, refuse_unsafe_role, role_faults
from tests.databases import owner_wrapper


class Described:
    """Stands for a connection whose role PostgreSQL describes like this."""

    alias = "default"

    def __init__(self, *answer):
        self.answer = answer
        self.settings_dict = {"HOST": "h", "PORT": "", "NAME": "n", "USER": answer[0]}
        self.is_open = True

    def cursor(self):
        return nullcontext(self)

    def execute(self, _sql):
        return None

    def fetchone(self):
        return self.answer

    def close(self):
        self.is_open = False


@pytest.fixture
def described(monkeypatch):
    """`described(role, superuser=…)`: a new connection as such a role."""

    def describe(role, *, superuser=False, bypasses=False, owns=False):
        fake = Described(role, superuser, bypasses, owns)
        known = {"default": fake, "owner": connections["owner"]}
        monkeypatch.setattr(roles, "connections", known)
        monkeypatch.setattr(roles, "_approved", set())
        return fake

    return describe


def owner_role():
    return connections["owner"].settings_dict["USER"]


def test_the_role_of_this_suite_is_safe(db):
    assert role_faults() == []


def test_the_owner_of_the_tables_would_be_noticed(db, monkeypatch):
    """Asked for real, as the owner: it owns tables, and a second role is there to use them."""
    with owner_wrapper():
        monkeypatch.setitem(connections["owner"].settings_dict, "USER", "somebody_else")
        assert ["owns tables" in fault for fault, _hint in role_faults("scratch")] == [True]


@pytest.mark.parametrize(
    ("description", "said"),
    [
        ({"superuser": True}, "superuser"),
        ({"bypasses": True}, "BYPASSRLS"),
        ({"owns": True}, "owns tables"),
    ],
)
def test_an_unsafe_role_is_refused_when_it_connects(described, description, said):
    connection = described("andrea_app", **description)
    with pytest.raises(UnsafeRole, match=said):
        refuse_unsafe_role(connection=connection)
    assert not connection.is_open


def test_one_role_for_everything_is_allowed_where_it_bypasses_nothing(described):
    connection = described(owner_role(), owns=True)
    refuse_unsafe_role(connection=connection)
    assert connection.is_open


@pytest.mark.parametrize("description", [{"superuser": True}, {"bypasses": True}])
def test_one_role_for_everything_is_refused_where_it_bypasses(described, description):
    connection = described(owner_role(), owns=True, **description)
    with pytest.raises(UnsafeRole):
        refuse_unsafe_role(connection=connection)
    assert not connection.is_open


def test_the_owners_own_connection_is_not_the_applications(monkeypatch):
    monkeypatch.setattr(roles, "role_faults", lambda _alias: pytest.fail("was asked"))
    refuse_unsafe_role(connection=connections["owner"])
