"""The few TwiML documents we answer with, written by Twilio's own library."""

from __future__ import annotations

from collections.abc import Mapping

from twilio.twiml.voice_response import Connect, Dial, VoiceResponse

# Twilio's locale for <Say>, by the language of the agent.
_LOCALES = {"es": "es-MX", "en": "en-US"}
DIAL_SECONDS = 30


def connect_stream(
    *,
    stream_url: str,
    action_url: str,
    parameters: Mapping[str, str],
    last_words: str,
    language: str,
) -> str:
    """Connect the call to our media socket, both ways.

    `action_url` is asked what comes next once the socket is closed; `last_words` are spoken
    where that fails. Values of `parameters` come back in the stream's start message: name and
    value together stay below Twilio's 500 characters.
    """
    for name, value in parameters.items():
        if len(name) + len(value) >= 500:
            raise ValueError(f"<Parameter> {name!r} is {len(value)} characters long: 500 is all")
    response = VoiceResponse()
    connect = Connect(action=action_url, method="POST")
    stream = connect.stream(url=stream_url)
    for name, value in parameters.items():
        stream.parameter(name=name, value=value)
    response.append(connect)
    response.say(last_words, language=_locale(language))
    return str(response)


def say_and_hang_up(text: str, *, language: str) -> str:
    """Speak `text`, then end the call."""
    response = VoiceResponse()
    response.say(text, language=_locale(language))
    response.hangup()
    return str(response)


def hang_up() -> str:
    """End the call without a word."""
    response = VoiceResponse()
    response.hangup()
    return str(response)


def dial(number: str, *, action_url: str, caller_id: str) -> str:
    """Ring `number` and join it to the caller; `action_url` learns how that went."""
    response = VoiceResponse()
    dial = Dial(
        action=action_url,
        method="POST",
        timeout=DIAL_SECONDS,
        answer_on_bridge=True,
        caller_id=caller_id,
    )
    dial.number(number)
    response.append(dial)
    return str(response)


def _locale(language: str) -> str:
    return language if "-" in language else _LOCALES.get(language, "en-US")
