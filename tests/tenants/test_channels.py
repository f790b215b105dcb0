"""Sockets: who opened one, found out off the event loop."""

from __future__ import annotations

import threading
from http.cookies import SimpleCookie

import pytest
from django.conf import settings
from django.test import Client

from tenants import channels
from tenants.channels import identify
from tenants.permissions import Permission
from tests.conftest import log_in

pytestmark = pytest.mark.django_db(transaction=True)


def scope_of(cookie: str = "", authorization: str | None = None):
    headers = [(b"host", b"testserver")]
    if cookie:
        headers.append((b"cookie", cookie.encode()))
    if authorization is not None:
        headers.append((b"authorization", authorization.encode()))
    return {"type": "websocket", "path": "/", "headers": headers}


@pytest.fixture
def cookie_of():
    def cookie(user):
        client = Client()
        log_in(client, user)
        return f"other=1; {settings.SESSION_COOKIE_NAME}={client.session.session_key}"

    return cookie


@pytest.fixture
def staff_cookie(cookie_of, staff):
    return cookie_of(staff)


async def test_a_members_session_is_recognised(staff_cookie, staff, tenant):
    identity = await identify(scope_of(staff_cookie))
    assert identity is not None
    assert (identity.tenant_id, identity.user_id) == (tenant.id, staff.pk)
    assert identity.label == staff.email
    assert identity.may(Permission.AGENTS_TEST)
    assert not identity.may(Permission.MEMBERS_MANAGE)


async def test_the_database_is_asked_in_a_thread_of_the_bridge(staff_cookie, monkeypatch):
    threads = []
    real = channels.active_membership

    def watched(*args):
        threads.append(threading.current_thread().name)
        return real(*args)

    monkeypatch.setattr(channels, "active_membership", watched)
    await identify(scope_of(staff_cookie))
    assert [name.startswith("tenant-bridge") for name in threads] == [True]


@pytest.fixture
def key(tenant, make_api_key):
    return make_api_key(tenant, ["calls.view", "long.gone"])


async def test_an_api_key_is_recognised_with_its_known_scopes(key, tenant):
    identity = await identify(scope_of(authorization=f"Bearer {key}"))
    assert identity is not None
    assert (identity.tenant_id, identity.user_id) == (tenant.id, None)
    assert identity.permissions == {Permission.CALLS_VIEW}


@pytest.mark.parametrize(
    ("cookie", "authorization"),
    [
        ("", None),
        ("sessionid=unknown", None),
        ("sessionid=", None),
        ('sessionid="broken', None),
        ("\x00;=;;", None),
        ("", "Bearer andrea_000000000000_x"),
        ("", "Basic YTpi"),
        ("", ""),
    ],
)
async def test_nobody_is_nobody(cookie, authorization):
    assert await identify(scope_of(cookie, authorization)) is None


async def test_a_wrong_key_is_not_mended_by_a_session(staff_cookie):
    assert await identify(scope_of(staff_cookie, "Bearer nonsense")) is None


@pytest.fixture(params=["deactivated", "closed tenant", "changed password", "no member"])
def stale_cookie(request, cookie_of, staff, tenant, operator):
    cookie = cookie_of(operator if request.param == "no member" else staff)
    if request.param == "deactivated":
        staff.is_active = False
        staff.save()
    elif request.param == "closed tenant":
        tenant.is_active = False
        tenant.save()
    elif request.param == "changed password":
        staff.set_password("quite another one")
        staff.save()
    return cookie


async def test_a_session_without_a_right_to_be_here_is_nobody(stale_cookie):
    assert await identify(scope_of(stale_cookie)) is None


async def test_a_cookie_header_that_cannot_be_read_is_nobody(monkeypatch, staff_cookie):
    def broken(self, *_args):
        raise channels.CookieError("illegal")

    monkeypatch.setattr(SimpleCookie, "load", broken)
    assert await identify(scope_of(staff_cookie)) is None
