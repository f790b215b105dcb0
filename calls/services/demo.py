"""The demo tenant of a fresh installation: people, agents and telephone numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction

from agents.models import Agent
from agents.services.seeds import seed_demo_agents
from calls.models import Number
from tenants.db import tenant_transaction
from tenants.models import Membership, Role, Tenant, User

SLUG = "demo"
ACTOR = "demo seed"
# Numbers that no telephone network gives out, so that a demo answers nobody's calls.
NUMBERS = {"es": "+34555010001", "en": "+15005550001"}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can log in to the demo; an operator has no role in a tenant."""

    email: str
    name: str
    role: Role | None
    page: str


PEOPLE = (
    Person("owner@demo.example", "Olivia Torres", Role.OWNER, "/"),
    Person("staff@demo.example", "Samuel Reyes", Role.STAFF, "/"),
    Person("operator@demo.example", "Operator", None, "/admin/"),
)


def demo_seed(*, passwords: Mapping[str, str], renew: bool = False) -> Tenant:
    """Create what is missing of the demo; what exists stays as it is.

    `passwords` maps the e-mail address of each of PEOPLE to a first password; with `renew`
    people who exist get it too.
    """
    with transaction.atomic():
        tenant, _ = Tenant.objects.get_or_create(
            slug=SLUG, defaults={"name": "Spirit Tours", "language": "es"}
        )
        users = {person: _user(person, passwords[person.email], renew) for person in PEOPLE}
        with tenant_transaction(tenant.id):
            for person, user in users.items():
                if person.role is not None:
                    Membership.objects.get_or_create(user=user, defaults={"role": person.role})
            for agent in seed_demo_agents(tenant):
                _number(agent)
    return tenant


def _user(person: Person, password: str, renew: bool) -> User:
    user = User.objects.filter(email=person.email).first()
    if user is None:
        create = User.objects.create_user if person.role else User.objects.create_superuser
        return create(person.email, password, name=person.name)
    if renew:
        user.set_password(password)
        user.save(update_fields=["password"])
    return user


def _number(agent: Agent) -> None:
    e164 = NUMBERS.get(agent.language)
    if e164 is not None and not Number.objects.filter(e164=e164).exists():
        Number.objects.create(e164=e164, label=agent.name, agent=agent)
