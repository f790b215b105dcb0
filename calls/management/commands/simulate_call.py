"""Telephone the running server: a caller with a real voice, over the carrier's real protocol."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import uuid
import wave
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
)
from websockets.exceptions import ConnectionClosed, InvalidStatus

from calls.carriers.installation import installation_keys
from calls.carriers.tokens import read_widget_token, widget_token
from calls.models import Utterance
from calls.providers.carriers.telnyx import simulated
from calls.providers.registry import Credentials, first_recogniser
from calls.simulator import script as scripts
from calls.simulator.answers import answered, is_reply
from calls.simulator.browser import BrowserStream
from calls.simulator.conversation import Conversation
from calls.simulator.line import Quality
from calls.simulator.screen import Screen
from calls.simulator.telnyx import TelnyxCloud
from calls.simulator.telnyx_call import NotAnswered, ring
from calls.simulator.telnyx_stream import TelnyxStream
from calls.simulator.threecx import PORT as PBX_PORT
from calls.simulator.threecx import NobodyListens, ThreeCxTelephone
from calls.simulator.threecx_account import account_at_simulated_pbx, call_of
from calls.simulator.twilio import Account, TwilioStream
from calls.simulator.witness import (
    LANGUAGE_NAMES,
    Dialled,
    NobodyToCall,
    Witness,
    spoken_by,
    whom_to_call,
)
from calls.voice.codecs import mulaw_decode

INCOMING_CALL = "/api/v1/twilio/incoming-call"
CALL_STATUS = "/api/v1/twilio/call-status"
CALLER = "+14155550100"


Stream: TypeAlias = TwilioStream | TelnyxStream | ThreeCxTelephone | BrowserStream

USAGE = "make call [VARIABLE=value ...]  or  manage.py simulate_call [options]"
EPILOG = """\
examples:
  make call                               an agent who is understood without a key
  make call AGENT=Grace                   --agent
  make call CARRIER=telnyx                --carrier
  make call CARRIER=webrtc                as a page, over WebRTC
  make call SCRIPT=reserva                --script, and with it the language
  make call BARGE_IN=1                    --barge-in
  make call LOSS=5 JITTER=60              --packet-loss and --jitter
  make call PORT=8001                     --port
  make call ARGS="--save heard.wav"       any other option

A script is a text file, one step a line: say CLIP, interrupt SECONDS CLIP, press KEYS,
pause SECONDS, hang up. A clip is a name or a sentence out of calls/simulator/clips/index.toml.
"""


class HelpFormatter(DjangoHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the examples."""


class Unanswered(Exception):
    """The call did not come about; the message says why."""


class WrongLanguage(Exception):
    """The script speaks what the agent does not; the message says what to choose."""


class Command(BaseCommand):
    """`make call`; see --help."""

    help = "Telephone the running server with a recorded caller, and show how the call went."
    requires_system_checks: list[str] = []
    suppressed_base_arguments = {
        "--version", "--verbosity", "--settings", "--pythonpath", "--traceback", "--force-color",
    }  # fmt: skip

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name,
            subcommand,
            usage=USAGE,
            epilog=EPILOG,
            formatter_class=HelpFormatter,
            **kwargs,
        )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("--agent", default="", metavar="WHO",
            help="the agent's name, id or telephone number (default: one who answers in the "
            "script's language)")  # fmt: skip
        add(
            "--carrier",
            choices=("twilio", "telnyx", "threecx", "browser", "webrtc"),
            default="twilio",
            help="telephone through Twilio's protocol (default), Telnyx's or a 3CX's, or call as "
            "a web page does, over its socket or over WebRTC",
        )
        add("--language", choices=sorted(LANGUAGE_NAMES), default="",
            help="what the caller speaks (default: the agent's first language)")  # fmt: skip
        add("--script", metavar="NAME", default="",
            help="what the caller does: a file, or one of " + ", ".join(scripts.known())
            + " (default: by language)")  # fmt: skip
        add("--barge-in", type=_number(0, 60), metavar="SECONDS",
            help="interrupt every answer after so many seconds")  # fmt: skip
        add("--packet-loss", type=_number(0, 100), default=0.0, metavar="PERCENT",
            help="share of the caller's 20 ms frames that never arrive")  # fmt: skip
        add("--jitter", type=_number(0, 1000), default=0.0, metavar="MS",
            help="by how much the caller's frames are late, at most")  # fmt: skip
        add("--save", type=Path, metavar="WAV", help="keep what the caller heard in this file")
        add("--url", help="the server (default: http://127.0.0.1:PORT)")
        add("--port", type=int, help="the server's port, if it runs here (default: 8000)")

    def handle(self, *_arguments: Any, **options: Any) -> None:
        server = (options["url"] or f"http://127.0.0.1:{_port(options['port'])}").rstrip("/")
        try:
            complaint = asyncio.run(telephone(server, options))
        except (scripts.BadScript, NobodyToCall, WrongLanguage, Unanswered) as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            raise CommandError("hung up") from None
        if complaint:
            raise CommandError(complaint)


def _number(least: float, most: float) -> Callable[[str], float]:
    """An option's type: a number in these bounds."""

    def number(text: str) -> float:
        with contextlib.suppress(ValueError):
            if least <= float(text) <= most:
                return float(text)
        raise argparse.ArgumentTypeError(f"{text!r} is no number from {least:g} to {most:g}")

    return number


def _port(wanted: int | None) -> int:
    """The port asked for, else that of a server with our settings on this machine."""
    public = urlsplit(settings.PUBLIC_BASE_URL)
    ours = public.port if public.hostname in ("localhost", "127.0.0.1") else None
    return wanted or ours or 8000


async def choose(agent: str, language: str, script: str) -> tuple[Dialled, str, list[scripts.Step]]:
    """Whom to call, and by which script, so that the two speak one language.

    Raises BadScript, NobodyToCall and WrongLanguage.
    """
    steps = scripts.load(script) if script else []
    spoken = scripts.languages_of(steps)
    dialled = await whom_to_call(agent, language or min(spoken, default=""))
    if not script:
        script = scripts.BY_LANGUAGE[language or dialled.language]
        steps = scripts.load(script)
    strange = sorted(scripts.languages_of(steps) - set(dialled.languages))
    if strange:
        names = " and ".join(LANGUAGE_NAMES[each] for each in strange)
        raise WrongLanguage(
            f"the caller of {script!r} speaks {names}, and {dialled.agent} speaks "
            f"{spoken_by(dialled)}: try SCRIPT={scripts.BY_LANGUAGE[dialled.language]}, "
            "or another AGENT"
        )
    return dialled, script, steps


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


async def telephone(server: str, options: dict[str, Any]) -> str:
    """Make the call; what there is to complain of, or "".

    Raises what `choose` does, and Unanswered.
    """
    dialled, script, steps = await choose(options["agent"], options["language"], options["script"])
    if options["barge_in"] is not None:
        steps = interrupting(steps, options["barge_in"])
    screen = Screen(plain=options["no_color"])
    screen.line(f"Calling {dialled.agent} of {dialled.tenant} through {options['carrier']} "
                f"at {server}, script {script}")  # fmt: skip
    witness = Witness(dialled, Reporter(screen))
    async with _connected(server, dialled, steps, options["carrier"], screen) as (stream, key):
        quality = Quality(options["packet_loss"] / 100, options["jitter"])
        conversation = Conversation(stream, quality, screen.exchange)
        await _talk(conversation, witness, steps, key)
    reason = witness.call.end_reason if witness.call else ""
    replied = answered(conversation.exchanges, witness.turns)
    gaps = stream.playout.gaps()
    screen.summary(conversation.exchanges, replied, gaps, reason or "not stored")
    if options["save"]:
        save(options["save"], stream, since=conversation.began)
        screen.line(f"{'saved':>11}  what the caller heard, in {options['save']}")
    return "" if replied or not conversation.exchanges else why_no_answer(witness.opening)


@contextlib.asynccontextmanager
async def _connected(
    server: str, dialled: Dialled, steps: list[scripts.Step], carrier: str, screen: Screen
) -> AsyncIterator[tuple[Stream, dict[str, str]]]:
    """The open line, with all that the carrier serves until it is closed. Raises Unanswered."""
    spoken = scripts.languages_of(steps)
    language = dialled.language if dialled.language in spoken else min(spoken, default="")
    async with contextlib.AsyncExitStack() as carriers:
        yield await _dialled(server, dialled, carrier, screen, language, carriers)


async def _dialled(
    server: str,
    dialled: Dialled,
    carrier: str,
    screen: Screen,
    language: str,
    carriers: contextlib.AsyncExitStack,
) -> tuple[Stream, dict[str, str]]:
    try:
        if carrier == "twilio":
            return await by_twilio(server, dialled, screen, carriers)
        if carrier == "telnyx":
            return await by_telnyx(server, dialled, screen, carriers)
        if carrier == "threecx":
            return await by_threecx(dialled, screen, carriers)
        over_webrtc = carrier == "webrtc"
        return await by_browser(server, dialled, screen, language, over_webrtc=over_webrtc)
    except (httpx.TransportError, OSError) as error:
        raise Unanswered(
            f"{server} cannot be reached ({error or type(error).__name__}): is `make run` running "
            "there? PORT=8001 names another port"
        ) from None
    except InvalidStatus as error:
        raise Unanswered(f"the media socket was refused: {error}") from None


async def _talk(
    conversation: Conversation, witness: Witness, steps: list[scripts.Step], key: dict[str, str]
) -> None:
    """Follow the script while the witness looks on."""
    watching = asyncio.create_task(witness.watch(**key))
    try:
        await conversation.run(steps)
    finally:
        await conversation.telephone.stop()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
    await witness.last_look(**key)


class Reporter:
    """Shows a call on the screen as the witness sees it grow."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen

    def opened(self, opening: Mapping[str, str]) -> None:
        """Who hears and speaks; and a warning if nobody understands the caller."""
        language = LANGUAGE_NAMES.get(opening["language"], opening["language"])
        self.screen.line(
            f"{language}, heard by {opening['recogniser']}, spoken by {opening['voice']}"
        )
        if is_deaf(opening):
            self.screen.note(
                f"This agent speaks {language} but understands none: without a key only English "
                "is recognised. Put AZURE_SPEECH_KEY or GROQ_API_KEY into .env and start "
                "`make run` again, or call an agent who speaks English."
            )

    def turn(self, turn: Utterance) -> None:
        """A turn that was stored: what was said, and where the time before it went."""
        text, at = turn.heard_text or turn.text, turn.started_ms / 1000
        if turn.role == Utterance.Role.CALLER:
            self.screen.turn(who="heard", text=text, at=at)
            return
        self.screen.waterfall(turn.metrics)
        prompt = "" if is_reply(turn) or turn.sequence == 0 else "prompt"
        remark = "interrupted" if turn.interrupted else prompt
        self.screen.turn(who="agent", text=text, at=at, remark=remark)


def is_deaf(opening: Mapping[str, str]) -> bool:
    """Whether the recogniser of this call does not understand its language."""
    if opening.get("recogniser") != "embedded":
        return False
    embedded = first_recogniser(
        provider="embedded", language=opening["language"], credentials=Credentials()
    )
    return not embedded.available


def why_no_answer(opening: Mapping[str, str]) -> str:
    """What to say of a call in which nothing was answered."""
    if is_deaf(opening):
        name = LANGUAGE_NAMES[opening["language"]]
        return f"nothing was answered, as expected: no recogniser understands {name} (see above)"
    return "nothing that the caller said was answered"


async def by_twilio(
    server: str, dialled: Dialled, screen: Screen, carriers: contextlib.AsyncExitStack
) -> tuple[TwilioStream, dict[str, str]]:
    """Ring the webhook and open the media stream that its TwiML names; tell of the call's end."""
    account = Account(
        installation_keys("twilio")["auth_token"],
        server,
        settings.PUBLIC_BASE_URL,
        settings.TWILIO_ACCOUNT_SID or "AC" + "0" * 32,
    )
    form = account.incoming(to=dialled.number, caller=CALLER)
    answer = await account.post(INCOMING_CALL, form)
    if not answer.stream_url:
        said = " ".join(answer.said) or answer.body[:200]
        raise Unanswered(f"the server answered {answer.status}: {said}")
    took = f"{answer.seconds * 1000:.0f} ms"
    screen.line(f"From {CALLER} to {dialled.number}; the webhook answered in {took}")
    stream = await TwilioStream.open(account, answer, call_sid=form["CallSid"])
    await stream.start()
    over = {**form, "CallStatus": "completed", "SequenceNumber": "0"}
    carriers.push_async_callback(_tell, account, over)
    return stream, {"carrier_id": form["CallSid"]}


async def _tell(account: Account, form: Mapping[str, str]) -> None:
    """Tell the server that a call is over; one that is not there any more needs not know."""
    with contextlib.suppress(httpx.TransportError):
        await account.post(CALL_STATUS, form)


async def by_telnyx(
    server: str, dialled: Dialled, screen: Screen, carriers: contextlib.AsyncExitStack
) -> tuple[TelnyxStream, dict[str, str]]:
    """Be the simulated Telnyx that the server has an account at, and call through it."""
    if settings.TELNYX_API_KEY:
        raise Unanswered(
            "this installation has an account at the real Telnyx: unset TELNYX_API_KEY, or call "
            "the number with a telephone"
        )
    cloud = TelnyxCloud(
        server,
        key=simulated.API_KEY,
        connection_id=simulated.CONNECTION_ID,
        private_key=simulated.private_key_of(settings.SECRET_KEY),
    )
    try:
        await carriers.enter_async_context(cloud.running(simulated.PORT))
    except OSError:
        raise Unanswered(
            f"port {simulated.PORT} is taken: another simulated Telnyx runs on this machine"
        ) from None
    try:
        leg, stream = await ring(cloud, to=dialled.number, caller=CALLER)
    except NotAnswered as error:
        raise Unanswered(f"{server}: {error}") from None
    screen.line(f"From {CALLER} to {dialled.number}, answered by Call Control")
    return stream, {"carrier_id": leg.id}


async def by_threecx(
    dialled: Dialled, screen: Screen, carriers: contextlib.AsyncExitStack
) -> tuple[ThreeCxTelephone, dict[str, str]]:
    """Be a 3CX that the called agent's tenant has an account at, and ring its route point."""
    await carriers.enter_async_context(account_at_simulated_pbx(dialled.tenant_id))
    screen.line("Waiting for the server to come to the simulated 3CX")
    try:
        telephone = await ThreeCxTelephone.call(caller=CALLER, dialled=dialled.number)
    except NobodyListens as error:
        raise Unanswered(f"{error}; is `make run` running with this database?") from None
    except OSError:
        raise Unanswered(
            f"port {PBX_PORT} is taken: another simulated 3CX runs on this machine"
        ) from None
    screen.line(f"From {CALLER} to {dialled.number}, answered at the route point")
    public_id = await call_of(dialled.tenant_id, telephone.leg)
    return telephone, {"public_id": str(public_id)}


async def by_browser(
    server: str, dialled: Dialled, screen: Screen, language: str, *, over_webrtc: bool
) -> tuple[BrowserStream, dict[str, str]]:
    """Open a page's socket with a widget token. Raises Unanswered."""
    from calls.simulator.webrtc import NotConnected, WebRtcStream  # slow: only who calls needs it

    kind = WebRtcStream if over_webrtc else BrowserStream
    token = widget_token(uuid.UUID(dialled.agent_id))
    stream = await kind.open(server, agent=dialled.agent_id, token=token, language=language)
    try:
        await stream.start()
    except (NotConnected, TimeoutError, ConnectionClosed) as error:
        await stream.stop()
        raise Unanswered(f"{server} takes no call over WebRTC: {error}") from None
    how = "over WebRTC" if over_webrtc else "over its socket"
    screen.line(f"Connected as a web page with a widget's token, {how}")
    return stream, {"public_id": str(read_widget_token(token).call)}


def save(path: Path, stream: Stream, since: float) -> None:
    """Write what the caller heard as WAV."""
    sound = stream.playout.heard(since, stream.clock())
    if isinstance(stream, TwilioStream):
        sound = mulaw_decode(sound)
    elif isinstance(stream, TelnyxStream):
        sound = stream.speaks.decode(sound)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(stream.sample_rate)
        file.writeframes(sound)
