"""The texts that the test-call page shows by script: translated here, read by `test-call.js`."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from calls.end_reasons import END_REASONS

PROBLEMS = {
    "no_microphone": {
        "title": _("No microphone was found"),
        "text": _("Plug one in or choose another above, then call again."),
    },
    "permission_denied": {
        "title": _("The microphone is blocked for this page"),
        "text": _("Allow it with the icon beside the address, then call again."),
    },
    "microphone_busy": {
        "title": _("The microphone cannot be opened"),
        "text": _("Another program may be using it. Close that program, then call again."),
    },
    "microphone_lost": {
        "title": _("The microphone went away during the call"),
        "text": _("The call was ended. Check the cable, then call again."),
    },
    "insecure": {
        "title": _("This address may not use the microphone"),
        "text": _("Browsers allow it on https:// and on localhost only."),
    },
    "old_browser": {
        "title": _("This browser cannot make calls"),
        "text": _("Use a current version of Chrome, Edge, Firefox or Safari."),
    },
    "no_recognition": {
        "title": _("This browser has no speech recognition of its own"),
        "text": _("Choose another recogniser in the agent's browser profile."),
    },
    "no_connection": {
        "title": _("The server does not answer"),
        "text": _("Check that it is running and that you are online, then call again."),
    },
    "server_gone": {
        "title": _("The connection to the server was lost"),
        "text": _("What was said so far is stored. You can call again."),
    },
    "not_allowed": {
        "title": _("You may not call this agent"),
        "text": _("Sign in again, or ask the owner for a role that may test agents."),
    },
    "no_agent": {
        "title": _("This agent takes no calls"),
        "text": _("It was switched off or has no published version. Choose another."),
    },
    "busy": {
        "title": _("The server takes no new calls right now"),
        "text": _("It is shutting down or full. Try again in a minute."),
    },
    "too_many_calls": {
        "title": _("You have all the calls that you may have at a time"),
        "text": _("End one of them, perhaps in another tab or window, then call again."),
    },
    "unknown": {
        "title": _("The call could not be made"),
        "text": _("Reload the page and try again."),
    },
}

TEST_CALL: dict[str, Any] = {
    "microphone": _("Microphone"),
    "default_microphone": _("Default microphone"),
    "no_call": _("Ready to call"),
    "connecting": _("Connecting…"),
    "interrupted": _("interrupted: only what was heard is kept"),
    "tool": _("Uses a tool:"),
    "tool_failed": _("A tool failed:"),
    "pressed": _("Key pressed:"),
    "ended": _("Call ended:"),
    "states": {
        "listening": _("Listening"),
        "thinking": _("Thinking"),
        "speaking": _("Speaking"),
    },
    "callers": {
        "silent": _("You are silent"),
        "speaking": _("You are speaking"),
        "away": _("Nobody there?"),
    },
    "parts": {
        "recognition": _("recognition"),
        "pause": _("pause"),
        "model": _("model"),
        "rest": _("rest"),
        "voice": _("voice"),
    },
    "ahead": _("begun while still waiting:"),
    "troubles": {
        "provider_failed": _("A provider failed:"),
        "provider_replaced": _("Another provider took over:"),
        "transcript_timeout": _("Something was said, but no text came:"),
        "watchdog": _("Something hung and was restarted:"),
        "internal_error": _("An internal error:"),
    },
    "facts": {
        "recogniser": _("Recognition"),
        "voice": _("Voice"),
        "model": _("Model"),
        "transport": _("Sound"),
        "call": _("Call"),
    },
    "transports": {
        "webrtc": _("over WebRTC"),
        "websocket": _("over the WebSocket"),
    },
    "reconnecting": _("The connection broke off; connecting again…"),
    "reasons": END_REASONS,
    "problems": PROBLEMS,
}
