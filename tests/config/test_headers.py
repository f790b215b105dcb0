from __future__ import annotations

import asyncio

from django.http import HttpRequest, HttpResponse
from django.test import Client

from config.headers import HEADERS, SecurityHeaders


def test_every_page_forbids_frames_and_grants_only_the_microphone(client: Client):
    headers = client.get("/healthz").headers
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Permissions-Policy"].startswith("microphone=(self), camera=()")
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"


def test_a_view_may_say_something_stricter():
    def view(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(headers={"Content-Security-Policy": "default-src 'none'"})

    response = SecurityHeaders(view)(HttpRequest())
    assert isinstance(response, HttpResponse)
    assert response["Content-Security-Policy"] == "default-src 'none'"


async def test_asynchronous_views_get_them_without_a_thread():
    async def view(_request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    middleware = SecurityHeaders(view)
    assert asyncio.iscoroutinefunction(middleware) or middleware.async_capable
    response = await middleware(HttpRequest())
    assert HEADERS.items() <= dict(response.items()).items()
