"""The addresses of the media sockets."""

from typing import Any

from calls.consumers import (
    BrowserMediaConsumer,
    TelnyxMediaConsumer,
    TwilioMediaConsumer,
    TwilioRelayConsumer,
)
from calls.links import MEDIA_PATH, RELAY_PATH
from calls.models import Channel

BROWSER_PATH = "/api/v1/ws/media-stream"

ROUTES: dict[str, Any] = {
    BROWSER_PATH: BrowserMediaConsumer.as_asgi(),
    MEDIA_PATH.format(carrier=Channel.TWILIO): TwilioMediaConsumer.as_asgi(),
    MEDIA_PATH.format(carrier=Channel.TELNYX): TelnyxMediaConsumer.as_asgi(),
    RELAY_PATH.format(carrier=Channel.TWILIO): TwilioRelayConsumer.as_asgi(),
}
