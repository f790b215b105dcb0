from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command

from agents.models import Agent
from calls.models import Number
from calls.services.demo import NUMBERS, PEOPLE
from tenants.db import tenant_transaction
from tenants.models import Membership, Tenant, User


@pytest.fixture
def seed(db, settings, tmp_path):
    settings.DATA_DIR = tmp_path

    def run():
        call_command("seed_demo", verbosity=0)
        return json.loads((tmp_path / "demo.json").read_text())

    return run


def test_the_demo_has_people_agents_and_numbers(seed):
    logins = seed()
    tenant = Tenant.objects.get(slug="demo")
    with tenant_transaction(tenant.id):
        roles = {member.user.email: member.role for member in Membership.objects.all()}
        lines = {number.e164: number.agent.language for number in Number.objects.all()}
        assert Agent.objects.count() == 2
    assert roles == {"owner@demo.example": "owner", "staff@demo.example": "staff"}
    assert lines == {e164: language for language, e164 in NUMBERS.items()}
    assert {login["email"] for login in logins} == {person.email for person in PEOPLE}
    for login in logins:
        assert User.objects.get(email=login["email"]).check_password(login["password"])
    assert User.objects.get(email="operator@demo.example").is_superuser


def test_seeding_again_changes_nothing(seed):
    first = seed()
    User.objects.filter(email="owner@demo.example").update(name="Changed by its owner")
    assert seed() == first
    assert Tenant.objects.filter(slug="demo").count() == 1
    assert User.objects.get(email="owner@demo.example").name == "Changed by its owner"


def test_the_logins_are_readable_by_their_owner_alone(seed, tmp_path):
    seed()
    assert (tmp_path / "demo.json").stat().st_mode & 0o777 == 0o600


def test_a_lost_login_file_is_drawn_anew_and_tells_the_truth(seed, tmp_path):
    old = {login["email"]: login["password"] for login in seed()}
    (tmp_path / "demo.json").unlink()
    for login in seed():
        assert login["password"] != old[login["email"]]
        assert User.objects.get(email=login["email"]).check_password(login["password"])


def test_production_gets_no_demo(seed, monkeypatch):
    monkeypatch.setattr(
        "django.conf.LazySettings.SETTINGS_MODULE", "config.settings.production", raising=False
    )
    with pytest.raises(CommandError, match="not in production"):
        seed()
    assert not Tenant.objects.filter(slug="demo").exists()
