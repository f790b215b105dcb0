from __future__ import annotations

import asyncio

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from config.headers import PERMISSIONS, SecurityHeaders


def test_every_page_forbids_frames_and_grants_only_the_microphone(client: Client):
    headers = client.get("/healthz").headers
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Permissions-Policy"].startswith("microphone=(self), camera=()")
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"


def policy_of(client: Client, path: str, **headers: str) -> dict[str, list[str]]:
    text = client.get(path, headers=headers).headers["Content-Security-Policy"]
    return {name: values for name, *values in (part.split() for part in text.split(";"))}


@pytest.mark.parametrize("path", ["/accounts/login/", "/test-call/", "/no-such-page/", "/"])
def test_the_portals_pages_run_only_scripts_of_this_site(client: Client, path: str, db: None):
    policy = policy_of(client, path)
    assert policy["default-src"] == policy["script-src"] == policy["style-src"] == ["'self'"]
    assert policy["connect-src"] == ["'self'", "ws://testserver", "wss://testserver"]
    assert policy["worker-src"] == policy["media-src"] == ["'self'", "blob:"]


@pytest.mark.parametrize("path", ["/admin/login/", "/docs"])
def test_pages_with_scripts_of_their_own_load_none_from_elsewhere(
    client: Client, path: str, db: None
):
    policy = policy_of(client, path)
    assert policy["default-src"] == ["'self'"]
    assert all(source.startswith("'") for source in policy["script-src"])
    assert policy["object-src"] == ["'none'"]


def test_a_host_that_is_not_ours_gets_no_sockets(client: Client):
    policy = policy_of(client, "/healthz", host="evil.example;script-src *")
    assert policy["connect-src"] == ["'self'"]
    assert policy["script-src"] == ["'self'"]


def test_a_view_may_say_something_stricter():
    def view(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(headers={"Content-Security-Policy": "default-src 'none'"})

    response = SecurityHeaders(view)(RequestFactory().get("/"))
    assert isinstance(response, HttpResponse)
    assert response["Content-Security-Policy"] == "default-src 'none'"


async def test_asynchronous_views_get_them_without_a_thread():
    async def view(_request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    middleware = SecurityHeaders(view)
    assert asyncio.iscoroutinefunction(middleware) or middleware.async_capable
    response = await middleware(RequestFactory().get("/"))
    assert response["Permissions-Policy"] == PERMISSIONS
    assert "default-src 'self'" in response["Content-Security-Policy"]
