"""What carriers ask over HTTP: the addresses follow from their records."""

from django.urls import URLPattern, path

from calls.carriers import playing
from calls.providers.carriers.carrier import Carrier
from calls.providers.carriers.registry import CARRIERS
from calls.webhooks import webhook

app_name = "calls"


def _of(entry: Carrier) -> list[URLPattern]:
    """A carrier tells everything at one address, or each kind at one of its own."""
    name, about = entry.name, {"name": entry.name}
    base = f"{name}/{entry.webhook_path}"
    if entry.webhook_path:
        return [
            path(base, webhook, about, name=f"{name}-webhook"),
            path(f"{base}/<uuid:account>", webhook, about, name=f"{name}-account-webhook"),
            path(f"{name}/calls/<uuid:call>", webhook, about, name=f"{name}-call-webhook"),
            path(f"{name}/messages/<uuid:message>", webhook, about),
        ]
    of_account, of_call = f"{name}-account-webhook", f"{name}-call-webhook"
    return [
        path(f"{name}/accounts/<uuid:account>/<slug:kind>", webhook, about, name=of_account),
        path(f"{name}/calls/<uuid:call>/<slug:kind>", webhook, about, name=of_call),
        path(f"{name}/messages/<uuid:message>/<slug:kind>", webhook, about),
        path(f"{name}/<slug:kind>", webhook, about, name=f"{name}-webhook"),
    ]


urlpatterns = [
    path("hold-music.wav", playing.hold, name="hold-music"),
    *(pattern for entry in CARRIERS if entry.trunk is None for pattern in _of(entry)),
]
