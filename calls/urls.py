"""What carriers ask over HTTP."""

from django.urls import path

from calls import carrier_webhooks, playing, twilio_webhooks, webhooks

app_name = "calls"
urlpatterns = [
    path("hold-music.wav", playing.hold, name="hold-music"),
    path("twilio/incoming-call", webhooks.twilio_incoming_call, name="twilio-incoming-call"),
    path(
        "twilio/accounts/<uuid:account>/message",
        carrier_webhooks.twilio_messages,
        {"kind": "message"},
    ),
    path(
        "twilio/accounts/<uuid:account>/<slug:kind>",
        twilio_webhooks.twilio,
        name="twilio-account-webhook",
    ),
    path(
        "twilio/calls/<uuid:call>/<slug:kind>", twilio_webhooks.twilio, name="twilio-call-webhook"
    ),
    path("telnyx/call-control", carrier_webhooks.telnyx, name="telnyx-webhook"),
    path(
        "telnyx/call-control/<uuid:account>",
        carrier_webhooks.telnyx,
        name="telnyx-account-webhook",
    ),
    path("telnyx/calls/<uuid:call>", carrier_webhooks.telnyx, name="telnyx-call-webhook"),
    path("telnyx/messages/<uuid:message>", carrier_webhooks.telnyx),
    path("twilio/message", carrier_webhooks.twilio_messages, {"kind": "message"}),
    path(
        "twilio/messages/<uuid:message>/message-status",
        carrier_webhooks.twilio_messages,
        {"kind": "message-status"},
    ),
    path("twilio/<slug:kind>", twilio_webhooks.twilio, name="twilio-webhook"),
]
