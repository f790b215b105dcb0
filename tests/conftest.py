"""Two tenants and three people always exist: owner, staff, outsider. See `tests/databases.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.core.cache import cache
from django.test import Client, TransactionTestCase
from django.utils import translation

from calls.carriers import outbox
from config import celery  # noqa: F401 - shared tasks belong to this app
from tenants.db import close_bridge, tenant_transaction
from tenants.models import ApiKey, Membership, Role, Tenant, User
from tests import databases, lanes

PASSWORD = "correct horse battery staple"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Several workers share the tests as `tests/lanes.py` says."""
    config.option.loadscopereorder = False
    return lanes.Lanes(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests that wait come first."""
    lanes.in_order(items)


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: Any, worker_id: str) -> Iterator[None]:
    """Replaces pytest-django's, which would create and use the database with one role."""
    with django_db_blocker.unblock(), databases.test_database(worker_id) as name:
        setattr(TransactionTestCase, "_fixture_teardown", lambda _case: _flush(name))  # noqa: B010
        yield
        close_bridge()


def _flush(name: str) -> None:
    close_bridge()
    databases.flush(name)


@pytest.fixture(scope="session")
def worker_id(request: pytest.FixtureRequest) -> str:
    """The xdist worker's name, or `main` without xdist."""
    return str(getattr(request.config, "workerinput", {}).get("workerid", "main"))


@pytest.fixture(autouse=True)
def fresh_cache() -> None:
    """Rate limits and lock-outs count from nothing in every test."""
    cache.clear()


@pytest.fixture(autouse=True)
def own_language() -> None:
    """No test speaks the language of the last request of the one before."""
    translation.deactivate()


@pytest.fixture(autouse=True)
def no_order_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is ordered of carriers stays in the database, unless a test has a carrier."""
    monkeypatch.setattr(outbox, "post", lambda _tenant_id, _command_id: None)


@pytest.fixture
def tenant(db: None) -> Tenant:
    """The tenant that owner and staff work for."""
    return Tenant.objects.create(name="Spirit Tours", slug="spirit", language="es")


@pytest.fixture
def other_tenant(db: None) -> Tenant:
    """The tenant that the outsider works for."""
    return Tenant.objects.create(name="Rival Travel", slug="rival", language="en")


@pytest.fixture
def make_member(db: None) -> Callable[..., User]:
    """Create a user with a role in a tenant: `make_member(tenant, Role.ANALYST)`."""

    def make(tenant: Tenant, role: str, email: str | None = None) -> User:
        user = User.objects.create_user(email or f"{role}@{tenant.slug}.example", PASSWORD)
        with tenant_transaction(tenant.id):
            Membership.objects.create(user=user, role=role)
        return user

    return make


@pytest.fixture
def owner(tenant: Tenant, make_member: Callable[..., User]) -> User:
    """Owner of `tenant`."""
    return make_member(tenant, Role.OWNER)


@pytest.fixture
def staff(tenant: Tenant, make_member: Callable[..., User]) -> User:
    """Staff of `tenant`."""
    return make_member(tenant, Role.STAFF)


@pytest.fixture
def outsider(other_tenant: Tenant, make_member: Callable[..., User]) -> User:
    """Owner of `other_tenant`: may do everything there and nothing in `tenant`."""
    return make_member(other_tenant, Role.OWNER)


@pytest.fixture
def operator(db: None) -> User:
    """An operator of the installation, who works in the back office."""
    return User.objects.create_superuser("operator@andrea.example", PASSWORD)


@pytest.fixture
def in_tenant(tenant: Tenant) -> Iterator[Tenant]:
    """The test runs inside `tenant`."""
    with tenant_transaction(tenant.id):
        yield tenant


@pytest.fixture
def make_api_key(db: None) -> Callable[..., str]:
    """Create an API key and return its text: `make_api_key(tenant, ["calls.view"])`."""

    def make(tenant: Tenant, scopes: list[str], **fields: Any) -> str:
        with tenant_transaction(tenant.id):
            key = ApiKey(name="test", scopes=scopes, **fields)
            text = key.draw_secret()
            key.save()
        return text

    return make


@pytest.fixture
def login(client: Client) -> Callable[[User], Client]:
    """Log a user in on the test client: `login(staff).get("/")`."""

    def on_this_client(user: User) -> Client:
        log_in(client, user)
        return client

    return on_this_client


def log_in(client: Client, user: User) -> None:
    """Give the client a session of the user's.

    As `client.force_login`, without all else that a login writes, which took 10 ms of each test.
    """
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = str(session.session_key)
