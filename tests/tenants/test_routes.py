"""The matrix: every route by nobody, owner, staff, outsider and another tenant's API key."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from calls.sockets import ROUTES as SOCKET_ROUTES
from tenants.checks import tenant_models
from tenants.db import tenant_transaction
from tenants.models import Tenant
from tenants.permissions import Permission
from tests.conftest import log_in
from tests.routes import CALLERS, OPERATORS_ONLY, OWN_ACCOUNT_ONLY, ROUTES, SECRETS, SOCKETS, Route
from tests.rows import make_row

SAMPLES = {"uuid": "00000000-0000-4000-8000-000000000000", "int": "1", "slug": "x", "path": "1"}


def all_routes(patterns: Any = None, prefix: str = "") -> Iterator[str]:
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from all_routes(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield route


def undeclared(prefix: str) -> list[str]:
    return sorted({route for route in all_routes() if route.startswith(prefix)} - set(ROUTES))


def test_every_route_is_declared():
    families = (OPERATORS_ONLY, OWN_ACCOUNT_ONLY)
    missing = [route for route in all_routes() if route not in ROUTES]
    assert [route for route in missing if not route.startswith(families)] == []


def test_no_declared_route_is_gone():
    assert set(ROUTES) <= set(all_routes())


def test_every_socket_is_declared():
    assert set(SOCKET_ROUTES) == set(SOCKETS)


@pytest.fixture
def callers(owner, staff, outsider, other_tenant, make_api_key) -> dict[str, Client]:
    """One test client per caller. They see error pages, as a browser would."""
    clients = {name: Client(raise_request_exception=False) for name in CALLERS}
    for name, user in (("owner", owner), ("staff", staff), ("outsider", outsider)):
        log_in(clients[name], user)
    key = make_api_key(other_tenant, [permission.value for permission in Permission])
    clients["other_key"].defaults["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return clients


def concrete(route: str, values: dict[str, Any]) -> str:
    """A path of the route: with these values, or with samples where none is given."""

    def fill(match: re.Match[str]) -> str:
        kind, _sep, name = match.group(1).rpartition(":")
        return str(values.get(name, SAMPLES.get(kind or "slug", "x")))

    path = re.sub(r"<([^>]+)>", fill, route)
    return "/" + re.sub(r"\(\?P<[^)]*\)|[\^$]", "x", path).replace("//", "/")


def contents(tenant: Tenant) -> set[tuple[Any, ...]]:
    """A fingerprint of everything that the tenant has, but for notes of having looked."""
    with tenant_transaction(tenant.pk), connection.cursor() as cursor:
        cursor.execute(_fingerprints())
        return set(cursor.fetchall())


@functools.cache
def _fingerprints() -> str:
    """Of all tables at once: this is asked six times of each route."""
    return " UNION ALL ".join(
        f"SELECT '{table}', count(*), sum(hashtext(row_to_json(t)::text)) FROM \"{table}\" t"
        for table in (model._meta.db_table for model in tenant_models())
    )


@pytest.mark.parametrize("route", [pytest.param(route, id=route or "/") for route in ROUTES])
def test_each_caller_gets_what_the_table_says(callers, tenant, route):
    expected = ROUTES[route]
    path = path_of(expected, route, tenant)
    before = contents(tenant)
    for caller, status in zip(CALLERS, expected.statuses, strict=True):
        response = callers[caller].generic(
            expected.method, path, **body_of(callers[caller], expected)
        )
        assert response.status_code == status, f"{caller} got {response.status_code} from {path}"
        if status >= 300 or caller in {"outsider", "other_key"}:
            assert contents(tenant) == before, f"{caller} changed something by {path}"


def path_of(expected: Route, route: str, tenant: Tenant) -> str:
    with tenant_transaction(tenant.pk):
        return concrete(route, expected.path())


def body_of(client: Client, expected: Route) -> dict[str, Any]:
    if expected.method == "GET":
        return {}
    form = "&".join(f"{name}={value}" for name, value in expected.data.items())
    return {"data": form, "content_type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("route", [route for route in ROUTES if ROUTES[route].method == "GET"])
def test_no_page_shows_an_outsider_a_foreign_name(callers, tenant, route):
    with tenant_transaction(tenant.pk):
        for model, field in SECRETS.items():
            make_row(model, **{field: f"Confidential {model.__name__}"})
        path = concrete(route, ROUTES[route].path())
    for caller in ("nobody", "outsider", "other_key"):
        response = callers[caller].get(path)
        assert b"Confidential" not in b"".join(response)


@pytest.mark.parametrize("route", undeclared(OPERATORS_ONLY))
def test_the_back_office_is_closed_to_everybody_but_operators(callers, tenant, route):
    path = concrete(route, {})
    before = contents(tenant)
    for caller, client in callers.items():
        for method in ("get", "post"):
            response = getattr(client, method)(path)
            assert response.status_code in {302, 403, 404, 405}, f"{caller} {method} {path}"
            if response.status_code == 302:
                assert "/accounts/login/" in response.url or response.url.startswith("/admin/")
    assert contents(tenant) == before


@pytest.mark.parametrize("route", undeclared(OWN_ACCOUNT_ONLY))
def test_account_pages_hold_nothing_but_the_askers_own_account(callers, tenant, owner, route):
    path = concrete(route, {})
    before = contents(tenant)
    for caller, client in callers.items():
        response = client.get(path)
        assert response.status_code < 500, f"{caller} {path}"
        if caller != "owner":
            assert owner.email.encode() not in b"".join(response)
    assert contents(tenant) == before
