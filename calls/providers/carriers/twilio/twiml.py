"""The few TwiML documents we answer with, written by Twilio's own library (twilio.md, 4)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from twilio.twiml.voice_response import Connect, Dial, VoiceResponse

from calls.providers.carriers.port import Handover, HoldMusic, Relay, StreamTarget
from calls.providers.carriers.twilio.addresses import address
from calls.providers.carriers.twilio.events import Kind

# Twilio's locale for <Say>, by the language of the agent.
_LOCALES = {
    "de": "de-DE",
    "en": "en-US",
    "es": "es-MX",
    "fr": "fr-FR",
    "it": "it-IT",
    "pt": "pt-BR",
}
DIAL_SECONDS = 30
ACCEPT_SECONDS = 10  # after the briefing, how long the person has for the key
LONGEST = 4000  # characters of a document that is sent with a command (twilio.md, 6)
_LONGEST_PARAMETER = 500
_LONGEST_HINTS = 1500
# What XML 1.0 has no place for, even escaped: one such character spoils the whole document.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def stream(target: StreamTarget, *, last_words: str = "", language: str = "") -> str:
    """Connect a call to our media socket, both ways, or to our text socket.

    `signals_url` is asked what comes next once the socket is closed; `last_words` are spoken
    where that fails. Values of `parameters` come back in the stream's start message: name and
    value together stay below Twilio's 500 characters.
    """
    response = VoiceResponse()
    if target.relay is not None:
        response.append(_relayed(target, target.relay))
    else:
        response.append(_connected(target))
    if last_words:
        response.say(_text(last_words), language=locale(language))
    return str(response)


def after_stream(target: StreamTarget) -> str:
    """The address that is asked what comes after this stream, if any is."""
    if not target.signals_url:
        return ""
    return address(target.signals_url, Kind.AFTER_STREAM, after=str(target.number))


def blind(handover: Handover) -> str:
    """Ring a person for the caller, and join them; `after-dial` is asked how to go on."""
    about = {"handover": str(handover.command_id), "after": str(handover.after)}
    action = address(handover.signals_url, Kind.AFTER_DIAL, **about)
    return dial(
        handover.to_number,
        action_url=action,
        caller_id=handover.caller_id,
        ring_seconds=handover.ring_seconds,
    )


def brief(handover: Handover, *, action_url: str) -> str:
    """Tell the person what the call is about; `action_url` is told the key they press, or none.

    A briefing that is too long for one command is cut at a word.
    """

    def document(text: str) -> str:
        response = VoiceResponse()
        gather = response.gather(
            input="dtmf",
            num_digits=1,
            timeout=ACCEPT_SECONDS,
            action=action_url,
            method="POST",
            action_on_empty_result=True,
        )
        gather.say(text, language=locale(handover.language))
        response.hangup()
        return str(response)

    return _cut_to_fit(handover.briefing, document)


def join_person(room: str) -> str:
    """Put the person into the room where the caller comes to; it closes when they leave."""
    response = VoiceResponse()
    dial = Dial()
    dial.conference(room, beep="false", start_conference_on_enter=True, end_conference_on_exit=True)
    response.append(dial)
    return str(response)


def join_caller(room: str, *, action_url: str) -> str:
    """Bring the caller into the person's room; `action_url` is asked what comes after it."""
    response = VoiceResponse()
    dial = Dial(action=action_url, method="POST")
    dial.conference(
        room, beep="false", start_conference_on_enter=True, end_conference_on_exit=True, wait_url=""
    )
    response.append(dial)
    return str(response)


def hold(music: HoldMusic, *, seconds: int, action_url: str) -> str:
    """Have a caller wait whom the agent has let go, while a person is called for them.

    Joining them, or connecting them to the agent again, ends it at once; `action_url` is asked
    how to go on should neither come, as soon as the music that began within `seconds` is over.
    """
    response = VoiceResponse()
    if seconds > 0:  # no number of times is for ever
        response.play(music.url, loop=math.ceil(seconds / music.seconds))
    response.redirect(action_url, method="POST")
    return str(response)


def ask(action_url: str) -> str:
    """Have Twilio ask that address what to do with the call."""
    response = VoiceResponse()
    response.redirect(action_url, method="POST")
    return str(response)


def say_and_hang_up(text: str, *, language: str) -> str:
    """Speak `text`, then end the call. Too long a text is cut at a word."""

    def document(words: str) -> str:
        response = VoiceResponse()
        response.say(words, language=locale(language))
        response.hangup()
        return str(response)

    return _cut_to_fit(text, document)


def hang_up() -> str:
    """End the call without a word."""
    response = VoiceResponse()
    response.hangup()
    return str(response)


def nothing() -> str:
    """Nothing to do, where Twilio wants a document all the same."""
    return str(VoiceResponse())


def refuse(*, busy: bool) -> str:
    """Turn an incoming call away without answering it, which costs nobody anything."""
    response = VoiceResponse()
    response.reject(reason="busy" if busy else "rejected")
    return str(response)


def dial(number: str, *, action_url: str, caller_id: str, ring_seconds: int = DIAL_SECONDS) -> str:
    """Ring `number` and join it to the caller; `action_url` learns how that went."""
    response = VoiceResponse()
    dial = Dial(
        action=action_url,
        method="POST",
        timeout=ring_seconds,
        answer_on_bridge=True,
        caller_id=caller_id,
    )
    dial.number(number)
    response.append(dial)
    return str(response)


def locale(language: str) -> str:
    """`es` or `es-AR` as Twilio wants it; English for what it does not speak here."""
    return language if "-" in language else _LOCALES.get(language, "en-US")


def checked_parameters(parameters: Mapping[str, str]) -> Mapping[str, str]:
    """The same. Raises ValueError for what Twilio would drop."""
    for name, value in parameters.items():
        if len(name) + len(value) >= _LONGEST_PARAMETER:
            raise ValueError(f"<Parameter> {name!r} is {len(value)} characters long: 500 is all")
    return parameters


def _connected(target: StreamTarget) -> Connect:
    told: dict[str, str] = {}
    if target.signals_url:
        status_url = address(target.signals_url, Kind.STREAM)
        told = {"status_callback": status_url, "status_callback_method": "POST"}
    connect = _connect(target)
    _with_parameters(connect.stream(url=target.url, **told), target.parameters)
    return connect


def _relayed(target: StreamTarget, relay: Relay) -> Connect:
    """Have Twilio hear and speak.

    What it has spoken is told, word for word. An answer that begins silences one that is still
    spoken, for there is no command that would.
    """
    wishes = {
        "voice": relay.voice,
        "tts_provider": relay.voice_provider,
        "transcription_provider": relay.hearing_provider,
        "hints": _hints(relay.hints),
    }
    connect = _connect(target)
    noun = connect.conversation_relay(
        url=target.url,
        language=locale(relay.language),
        interruptible=relay.interruptible,
        preemptible=True,
        dtmf_detection=True,
        events="speaker-events tokens-played",
        **{name: wish for name, wish in wishes.items() if wish},
    )
    _with_parameters(noun, target.parameters)
    return connect


def _connect(target: StreamTarget) -> Connect:
    action = after_stream(target)
    return Connect(action=action, method="POST") if action else Connect()


def _with_parameters(noun: Any, parameters: Mapping[str, str]) -> None:
    for name, value in checked_parameters(parameters).items():
        noun.parameter(name=name, value=value)


def _hints(hints: tuple[str, ...]) -> str:
    """As many as a command has room for."""
    found = ""
    for hint in hints:
        more = ",".join(filter(None, (found, _text(hint).replace(",", " "))))
        if len(more) > _LONGEST_HINTS:
            break
        found = more
    return found


def _text(text: str) -> str:
    return _NOT_XML.sub(" ", text)


def _cut_to_fit(text: str, document: Callable[[str], str]) -> str:
    words = _text(text)
    while len(found := document(words)) > LONGEST and words:
        shorter = words[: len(words) * 9 // 10]
        words = shorter.rpartition(" ")[0] or shorter
    return found
