"""What carriers ask over HTTP."""

from django.urls import path

from calls import webhooks

app_name = "calls"
urlpatterns = [
    path("twilio/incoming-call", webhooks.twilio_incoming_call, name="twilio-incoming-call"),
    path(
        "twilio/after-stream/<uuid:public_id>",
        webhooks.twilio_after_stream,
        name="twilio-after-stream",
    ),
    path(
        "twilio/after-dial/<uuid:public_id>", webhooks.twilio_after_dial, name="twilio-after-dial"
    ),
]
