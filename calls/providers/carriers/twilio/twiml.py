"""The few TwiML documents we answer with, written by Twilio's own library."""

from __future__ import annotations

from collections.abc import Mapping

from twilio.twiml.voice_response import Connect, Dial, VoiceResponse

from calls.providers.carriers.port import Handover, StreamTarget

# Twilio's locale for <Say>, by the language of the agent.
_LOCALES = {"es": "es-MX", "en": "en-US"}
DIAL_SECONDS = 30
BRIEFING_SECONDS = 10


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
    response = VoiceResponse()
    response.append(_connected(stream_url, parameters, action_url))
    response.say(last_words, language=_locale(language))
    return str(response)


def stream(target: StreamTarget, *, action_url: str = "") -> str:
    """Connect an answered call to our media socket, both ways."""
    response = VoiceResponse()
    response.append(_connected(target.url, target.parameters, action_url))
    return str(response)


def hand_over(handover: Handover) -> str:
    """Ring a person for the caller.

    With a briefing the person's own side is asked of `…/briefing` first: nobody is joined to a
    caller whom they have not heard of. Either way `…/after-dial` learns how it went.
    """
    base = handover.signals_url.rstrip("/")
    response = VoiceResponse()
    dial = Dial(
        action=f"{base}/after-dial",
        method="POST",
        timeout=handover.ring_seconds,
        answer_on_bridge=True,
        caller_id=handover.caller_id,
    )
    if handover.briefing:
        dial.number(handover.to_number, url=f"{base}/briefing", method="POST")
    else:
        dial.number(handover.to_number)
    response.append(dial)
    return str(response)


def brief(text: str, *, action_url: str, language: str) -> str:
    """Tell the person what the call is about and wait for a key; without one they are let go."""
    response = VoiceResponse()
    gather = response.gather(
        num_digits=1, action=action_url, method="POST", timeout=BRIEFING_SECONDS, input="dtmf"
    )
    gather.say(text, language=_locale(language))
    response.hangup()
    return str(response)


def join() -> str:
    """Nothing more to do on the person's side: they are joined to the caller."""
    return str(VoiceResponse())


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


def _connected(url: str, parameters: Mapping[str, str], action_url: str) -> Connect:
    for name, value in parameters.items():
        if len(name) + len(value) >= 500:
            raise ValueError(f"<Parameter> {name!r} is {len(value)} characters long: 500 is all")
    connect = Connect(action=action_url, method="POST") if action_url else Connect()
    stream = connect.stream(url=url)
    for name, value in parameters.items():
        stream.parameter(name=name, value=value)
    return connect


def _locale(language: str) -> str:
    return language if "-" in language else _LOCALES.get(language, "en-US")
