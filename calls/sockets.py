"""The addresses of the media sockets: the pages', and those that carriers' records have."""

from typing import Any

from calls.carriers.links import MEDIA_PATH, RELAY_PATH
from calls.consumers import BrowserMediaConsumer, StreamConsumer, TextConsumer
from calls.providers.carriers.registry import CARRIERS

BROWSER_PATH = "/api/v1/ws/media-stream"


def _routes() -> dict[str, Any]:
    routes: dict[str, Any] = {BROWSER_PATH: BrowserMediaConsumer.as_asgi()}
    for entry in CARRIERS:
        if entry.media is not None:
            consumer = StreamConsumer.as_asgi(door=entry.media)
            routes[MEDIA_PATH.format(carrier=entry.name)] = consumer
        if entry.text is not None:
            routes[RELAY_PATH.format(carrier=entry.name)] = TextConsumer.as_asgi(door=entry.text)
    return routes


ROUTES = _routes()
