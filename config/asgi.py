"""The ASGI application: HTTP by Django, sockets by Channels, and an orderly end."""

from __future__ import annotations

import os
from typing import Any

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

http = get_asgi_application()

from calls import sockets  # noqa: E402 - models can be imported only now
from calls.line.startup import open_for_calls, shut_down, warm_up_in_background  # noqa: E402


async def socket(scope: Any, receive: Any, send: Any) -> None:
    """A WebSocket: one of ours, or closed before it is open (the other side sees a 403)."""
    consumer = sockets.ROUTES.get(scope["path"])
    if consumer is not None:
        await consumer(scope, receive, send)
    else:
        await receive()
        await send({"type": "websocket.close", "code": 4404})


async def lifespan(_scope: Any, receive: Any, send: Any) -> None:
    """Where a server has a lifespan: store what is left before it ends.

    `config.serve` drains before that; this is for servers started in other ways.
    """
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            warm_up_in_background()
            open_for_calls()
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await shut_down(0)
            await send({"type": "lifespan.shutdown.complete"})
            return


application = ProtocolTypeRouter({"http": http, "websocket": socket, "lifespan": lifespan})
