"""Telephone the running server: a caller with a real voice, over the carrier's real protocol."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import uuid
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from websockets.exceptions import InvalidStatus

from calls.carrier_auth import twilio_auth_token
from calls.models import Utterance
from calls.simulator import script as scripts
from calls.simulator.browser import BrowserStream
from calls.simulator.conversation import Conversation
from calls.simulator.line import Quality
from calls.simulator.screen import Screen
from calls.simulator.twilio import Account, TwilioStream
from calls.simulator.witness import Dialled, NobodyToCall, Witness, whom_to_call
from calls.tokens import read_widget_token, widget_token
from calls.voice.codecs import mulaw_decode

INCOMING_CALL = "/api/v1/twilio/incoming-call"
CALLER = "+14155550100"


Stream: TypeAlias = TwilioStream | BrowserStream
Connect: TypeAlias = Callable[[str, Dialled, Screen], Awaitable[tuple[Stream, dict[str, str]]]]


class Unanswered(Exception):
    """The call did not come about; the message says why."""


class Command(BaseCommand):
    """`make call`; see --help."""

    help = "Telephone the running server with a recorded caller, and show how the call went."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--url", help="the server (default: http://127.0.0.1:PORT)")
        parser.add_argument("--port", type=int, help="its port, if it runs here")
        parser.add_argument("--carrier", choices=("twilio", "browser"), default="twilio")
        parser.add_argument("--agent", default="", help="name, id or telephone number")
        parser.add_argument("--language", choices=("en", "es"), default="en")
        parser.add_argument("--script", help="a file, or: tour, reserva")
        parser.add_argument("--barge-in", type=float, metavar="SECONDS",
                            help="interrupt every answer after so many seconds")  # fmt: skip
        parser.add_argument("--packet-loss", type=float, default=0.0, metavar="PERCENT")
        parser.add_argument("--jitter", type=float, default=0.0, metavar="MS")
        parser.add_argument("--save", type=Path, metavar="WAV", help="what the caller heard")

    def handle(self, *_arguments: Any, **options: Any) -> None:
        server = (options["url"] or f"http://127.0.0.1:{_port(options['port'])}").rstrip("/")
        try:
            steps = scripts.load(options["script"] or _script_for(options["language"]))
            if options["barge_in"] is not None:
                steps = list(interrupting(steps, options["barge_in"]))
            answered = asyncio.run(telephone(server, steps, options))
        except (scripts.BadScript, NobodyToCall, Unanswered) as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            raise CommandError("hung up") from None
        if not answered:
            raise CommandError("no question was answered")


def _port(wanted: int | None) -> int:
    """The port asked for, else that of a server with our settings on this machine."""
    public = urlsplit(settings.PUBLIC_BASE_URL)
    ours = public.port if public.hostname in ("localhost", "127.0.0.1") else None
    return wanted or ours or 8000


def _script_for(language: str) -> str:
    return {"en": "tour", "es": "reserva"}[language]


def interrupting(steps: list[scripts.Step], after: float) -> list[scripts.Step]:
    """The same script with every question but the first spoken into the answer before it."""
    asked = False
    changed: list[scripts.Step] = []
    for step in steps:
        if isinstance(step, scripts.Say) and asked:
            changed.append(scripts.Interrupt(after, step.clip))
        else:
            changed.append(step)
        asked = asked or isinstance(step, scripts.Say)
    return changed


async def telephone(server: str, steps: list[scripts.Step], options: dict[str, Any]) -> bool:
    """Make the call; whether anything was answered. Raises Unanswered and NobodyToCall."""
    screen = Screen()
    dialled = await whom_to_call(options["agent"], options["language"])
    screen.line(f"Calling {dialled.agent} of {dialled.tenant} by {options['carrier']} at {server}")
    connect: Connect = by_twilio if options["carrier"] == "twilio" else by_browser
    try:
        stream, key = await connect(server, dialled, screen)
    except (httpx.TransportError, OSError) as error:
        raise Unanswered(
            f"{server} cannot be reached ({error or type(error).__name__}): is `make run` running?"
        ) from None
    except InvalidStatus as error:
        raise Unanswered(f"the media socket was refused: {error}") from None
    quality = Quality(options["packet_loss"] / 100, options["jitter"])
    conversation = Conversation(stream, quality, screen.exchange)
    witness = Witness(dialled, lambda turn: show(screen, turn))
    watching = asyncio.create_task(witness.watch(**key))
    try:
        await conversation.run(steps)
    finally:
        await stream.stop()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
    await witness.last_look(**key)
    reason = witness.call.end_reason if witness.call else ""
    screen.summary(conversation.exchanges, stream.playout.gaps(), reason or "not stored")
    if options["save"]:
        save(options["save"], stream, since=conversation.began)
        screen.line(f"what the caller heard: {options['save']}")
    return any(exchange.response is not None for exchange in conversation.exchanges)


async def by_twilio(
    server: str, dialled: Dialled, screen: Screen
) -> tuple[TwilioStream, dict[str, str]]:
    """Ring the webhook and open the media stream that its TwiML names."""
    account = Account(
        twilio_auth_token(),
        server,
        settings.PUBLIC_BASE_URL,
        settings.TWILIO_ACCOUNT_SID or "AC" + "0" * 32,
    )
    form = account.incoming(to=dialled.number, caller=CALLER)
    answer = await account.post(INCOMING_CALL, form)
    if not answer.stream_url:
        said = " ".join(answer.said) or answer.body[:200]
        raise Unanswered(f"the server answered {answer.status}: {said}")
    screen.line(f"{CALLER} -> {dialled.number}, answered in {answer.seconds * 1000:.0f} ms")
    stream = await TwilioStream.open(account, answer, call_sid=form["CallSid"])
    await stream.start()
    return stream, {"carrier_id": form["CallSid"]}


async def by_browser(
    server: str, dialled: Dialled, screen: Screen
) -> tuple[BrowserStream, dict[str, str]]:
    """Open a page's socket with a widget token."""
    token = widget_token(uuid.UUID(dialled.agent_id))
    stream = await BrowserStream.open(server, agent=dialled.agent_id, token=token)
    await stream.start()
    screen.line("connected as a page with a widget's token")
    return stream, {"public_id": str(read_widget_token(token).call)}


def show(screen: Screen, turn: Utterance) -> None:
    """A turn that was stored: what was said, and where the time before it went."""
    if turn.role == Utterance.Role.AGENT:
        screen.waterfall(turn.metrics)
    screen.turn(
        role=turn.role,
        text=turn.heard_text or turn.text,
        interrupted=turn.interrupted,
        started_ms=turn.started_ms,
    )


def save(path: Path, stream: Stream, since: float) -> None:
    """Write what the caller heard as WAV."""
    sound = stream.playout.heard(since, stream.clock())
    pcm = mulaw_decode(sound) if isinstance(stream, TwilioStream) else sound
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(stream.sample_rate)
        file.writeframes(pcm)
