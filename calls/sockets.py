"""The addresses of the media sockets."""

from typing import Any

from calls.consumers import BrowserMediaConsumer, TwilioMediaConsumer
from calls.webhooks import MEDIA_PATH as TWILIO_PATH

BROWSER_PATH = "/api/v1/ws/media-stream"

ROUTES: dict[str, Any] = {
    BROWSER_PATH: BrowserMediaConsumer.as_asgi(),
    TWILIO_PATH: TwilioMediaConsumer.as_asgi(),
}
