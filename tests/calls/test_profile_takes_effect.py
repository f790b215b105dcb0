"""Every setting of a channel profile arrives where it matters.

One row per setting: a value that is not the default, how to see where it lands, and what must
be seen there. The row is run twice, with the default and with the value, so that it can fail.
The cloud is a stand-in: what counts is what the vendors' clients send over the wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree

import pytest
from django.utils import timezone
from pydantic import BaseModel

from agents.profiles import ChannelProfile, TurnSettings
from calls import session as session_module
from calls.carriers.links import stream_target
from calls.line import setup as composition
from calls.line.adapters import NoRecorder
from calls.line.live import live
from calls.line.relaying import relay_of
from calls.line.writer import Writer
from calls.models import Call, Number, Recording
from calls.providers.carriers.browser import BrowserMedia
from calls.providers.carriers.twilio import twiml
from calls.providers.health import forget_all
from calls.providers.provider import Credentials, RecogniserOptions
from calls.providers.registry import build_recognisers
from calls.services import outbound
from calls.services.outbound import Wanted, call_place
from calls.session import StoredCall
from calls.voice import TurnOptions
from calls.voice.denoise import Denoiser
from calls.voice.ports import AgentSaid, CallerSaid, Conversation, Ports, Transfer
from tenants.db import run_in_tenant
from tests.calls.conftest import Desk, staff_desk
from tests.calls.sockets import Socket
from tests.peers import azure_framing as framing
from tests.peers.azure import RecognitionPeer, Script
from tests.peers.azure_tts import AzureVoices
from tests.peers.groq import GroqServer, running, too_many
from tests.providers.sound import next_final, say

pytestmark = pytest.mark.django_db(transaction=True)

RATE = 16000
TARGET = {"name": "Ventas", "number": "+525555123456", "description": "precios"}


class Session:
    """Stands in for the voice loop: keeps what it was made of."""

    outcome: Any = None

    def __init__(self, ports: Ports, options: TurnOptions, **others: Any) -> None:
        self.ports, self.options, self.others = ports, options, others


@dataclass
class World:
    """A call that has begun, and the vendors at its other end."""

    desk: Desk
    stored: StoredCall
    media: BrowserMedia
    session: Session
    voices: AzureVoices
    ears: RecognitionPeer
    door: framing.FrontDoor
    groq: GroqServer
    recognition: RecogniserOptions

    @property
    def ports(self) -> Ports:
        return self.session.ports


@asynccontextmanager
async def begun(tenant: Any, settings: Any, **profile: Any):
    """A call of an agent whose profiles have these groups, just before its first frame."""
    forget_all()
    voices, ears = AzureVoices(), RecognitionPeer(Script(("sí",)))
    door = framing.FrontDoor({**voices.routes, framing.RECOGNITION_PATH: ears.handle})
    async with framing.listening(door) as address, running(GroqServer(key=uuid4().hex)) as groq:
        settings.SPEECH_CREDENTIALS = Credentials(
            azure_endpoint=address, azure_key="a", groq_key="g", elevenlabs_key="e",
            openai_audio_key="o",
        )  # fmt: skip
        settings.GROQ_API_KEY, settings.GROQ_BASE_URL = groq.key, groq.url
        desk, call = await run_in_tenant(tenant.id, _call, tenant, profile)
        socket = Socket()
        media = BrowserMedia(socket.receive, socket.send)
        stored = StoredCall(call, page_recognises=True)
        with pytest.MonkeyPatch.context() as patch:
            wishes = _listen_in(patch)
            session: Any = await stored.begin(media)
        try:
            yield World(desk, stored, media, session, voices, ears, door, groq, wishes[-1])
        finally:
            for provider in (*session.ports.synthesisers, *session.ports.recognisers):
                await provider.aclose()
            await session.ports.brain.aclose()
            await session.ports.recorder.aclose()
    forget_all()


def _listen_in(patch: pytest.MonkeyPatch) -> list[RecogniserOptions]:
    """What recognisers are asked to do besides what goes over the wire."""
    wishes: list[RecogniserOptions] = []

    def build(**wish: Any) -> Any:
        wishes.append(wish["options"])
        return build_recognisers(**wish)

    patch.setattr(composition, "build_recognisers", build)
    return wishes


def _call(tenant: Any, profile: dict[str, Any]) -> tuple[Desk, Call]:
    slug = f"agent-{Call.objects.count()}"
    desk = staff_desk(tenant, f"+52551234000{Call.objects.count()}", slug=slug, **profile)
    now = timezone.now()
    call = Call.objects.create(
        agent=desk.agent, version=desk.version, channel="browser", language="es",
        carrier_id=slug, state="live", started_at=now, answered_at=now, heartbeat_at=now,
    )  # fmt: skip
    return desk, Call.objects.select_related("agent", "version").get(pk=call.pk)


# --- where settings land ------------------------------------------------------------------


async def asked(world: World, turns: int = 1) -> dict[str, Any]:
    """What the model is asked when the caller has spoken `turns` times."""
    before = [item for n in range(1, turns) for item in (CallerSaid(f"c{n}"), AgentSaid(f"a{n}"))]
    committed = asyncio.Event()
    committed.set()
    conversation = Conversation((*before, CallerSaid("hola")), "es")
    async for _ in world.ports.brain.reply(conversation, committed):
        pass
    body: dict[str, Any] = world.groq.requests[-1]
    return body


def of_model(name: str) -> Callable[[World], Awaitable[Any]]:
    async def see(world: World) -> Any:
        return (await asked(world))[name]

    return see


async def thinker(world: World) -> Any:
    return world.ports.brain.name  # type: ignore[attr-defined]


async def next_model(world: World) -> Any:
    """Who is asked when the first model has no more room."""
    world.groq.replies.append(too_many())
    return (await asked(world))["model"]


async def turns_shown(world: World) -> int:
    messages = (await asked(world, turns=30))["messages"]
    return sum(message["role"] == "user" for message in messages)


def offers(name: str, argument: str = "") -> Callable[[World], Awaitable[Any]]:
    """Whether the model is offered a function, or what it may choose for an argument of it."""

    async def see(world: World) -> Any:
        tools = (await asked(world)).get("tools", [])
        found = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
        if not argument:
            return name in found
        return found[name]["properties"][argument]["enum"] if name in found else None

    return see


async def transfer(world: World) -> Any:
    """Whom the model may name, and which number is stored when it did."""
    world.session.outcome = Transfer("Ventas")
    world.stored.close("transferred", world.media)
    await live.writer.drained(5)
    pk = {"agent": world.desk.agent}
    number = await run_in_tenant(world.desk.tenant.id, lambda: Call.objects.get(**pk).transfer_to)
    return await offers("transfer", "target")(world), number


async def said(world: World) -> Any:
    """The markup that the voice's service gets for a text."""
    voice = world.ports.synthesisers[0]

    async def text():
        yield "Bienvenido a Spirit."

    async for _ in voice.speak(text()):
        pass
    return world.voices.requests[-1]


def of_voice(find: Callable[[Any], Any]) -> Callable[[World], Awaitable[Any]]:
    async def see(world: World) -> Any:
        return find(await said(world))

    return see


def attribute(tag: str, name: str) -> Callable[[World], Awaitable[Any]]:
    """Of an element of the voice's markup; None where there is none."""

    def find(request: Any) -> Any:
        elements = (each for each in request.root.iter() if each.tag.endswith(f"}}{tag}"))
        return next((each.attrib.get(name) for each in elements), None)

    return of_voice(find)


async def speaker(world: World) -> str:
    return world.ports.synthesisers[0].name


async def speakers(world: World) -> list[str]:
    return [voice.name for voice in world.ports.synthesisers]


async def listener(world: World) -> str:
    return world.ports.recognisers[0].name


async def listeners(world: World) -> list[str]:
    return [ear.name for ear in world.ports.recognisers]


async def listened(world: World) -> dict[str, Any]:
    """What the recogniser's service is told before it hears anything."""
    recogniser = world.ports.recognisers[0]
    await recogniser.open()
    say(recogniser, rate=RATE)
    await next_final(recogniser)
    context: dict[str, Any] = world.ears.contexts[0]
    return context


async def languages(world: World) -> list[str]:
    context = await listened(world)
    upgrade = next(u for u in world.door.upgrades if framing.RECOGNITION_PATH in u.path)
    detected: list[str] = context.get("languageId", {}).get("languages", [])
    return detected or list(upgrade.query["language"])


async def terms(world: World) -> bool:
    items = (await listened(world))["dgi"]["Groups"][0]["Items"]
    return "Xcaret" in [item["Text"] for item in items]


async def cleaned(world: World) -> str | None:
    """What takes the noise away before anybody listens."""
    cleaner = world.ports.cleaner
    return cleaner.kind if isinstance(cleaner, Denoiser) else None


def option(name: str) -> Callable[[World], Awaitable[Any]]:
    async def see(world: World) -> Any:
        return getattr(world.session.options, name)

    return see


async def kept_before_speech(world: World) -> tuple[float, float]:
    """The loop and the recogniser must agree on it."""
    return world.session.options.vad_prefix, world.recognition.prefix


async def recorded(world: World) -> tuple[bool, int]:
    agent = world.desk.agent
    rows = await run_in_tenant(
        world.desk.tenant.id, lambda: Recording.objects.filter(call__agent=agent).count()
    )
    return not isinstance(world.ports.recorder, NoRecorder), rows


async def room(world: World) -> Any:
    ambience = world.session.others["ambience"]
    return ambience and ambience.kind


async def volume(world: World) -> Any:
    ambience = world.session.others["ambience"]
    return ambience.volume


async def prompts(world: World) -> Any:
    return world.session.others["phrases"].away_prompts


async def left_with_machines(world: World) -> Any:
    return world.session.others["voicemail"]


async def verdict_first(world: World) -> Any:
    def asked() -> Any:
        Number.objects.update(carrier="telnyx")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(outbound, "may_be_called", lambda *_args: None)
            wanted = Wanted("+525598765432", world.desk.agent)
            placed = call_place(wanted=wanted, actor="tests")
        assert placed.command is not None
        return placed.command.arguments["verdict_first"]

    return await run_in_tenant(world.desk.tenant.id, asked)


# --- the table ----------------------------------------------------------------------------


def by_twilio(attribute: str = "") -> Callable[[World], Awaitable[Any]]:
    """What a call by Twilio is connected to: the noun, or an attribute of it."""

    async def see(world: World) -> Any:
        def noun() -> ElementTree.Element:
            call = Call(version=world.desk.version, channel="twilio", language="es")
            target = stream_target("twilio", call.public_id, relay=relay_of(call))
            return ElementTree.fromstring(twiml.stream(target))[0][0]  # noqa: S314 - our own

        found = await run_in_tenant(world.desk.tenant.id, noun)
        return found.get(attribute) if attribute else found.tag

    return see


@dataclass(frozen=True)
class Row:
    """`value` of a setting makes `see` find `lands`. `beside`: what its group needs as well."""

    value: Any
    see: Callable[[World], Awaitable[Any]]
    lands: Any
    beside: dict[str, Any] = field(default_factory=dict)


GPT = {"model": "openai/gpt-oss-20b"}
ROWS: dict[str, Row] = {
    "model.provider": Row("embedded", thinker, "embedded"),
    "model.model": Row("openai/gpt-oss-20b", of_model("model"), "openai/gpt-oss-20b"),
    "model.fallbacks": Row(["openai/gpt-oss-20b"], next_model, "openai/gpt-oss-20b"),
    "model.temperature": Row(1.25, of_model("temperature"), 1.25),
    "model.max_tokens": Row(321, of_model("max_completion_tokens"), 321),
    "model.reasoning_effort": Row("high", of_model("reasoning_effort"), "high", GPT),
    "model.history_window": Row(6, turns_shown, 6),
    "voice.provider": Row("embedded", speaker, "embedded"),
    "voice.fallbacks": Row(
        ["openai", "elevenlabs"], speakers, ["azure", "openai", "elevenlabs", "embedded"]
    ),
    "voice.voices": Row(
        {"es-CO": "es-CO-GonzaloNeural"},
        of_voice(lambda r: r.voice),
        "es-CO-GonzaloNeural",
        {"dialect": "en-US"},
    ),
    "voice.voice": Row("es-MX-JorgeNeural", of_voice(lambda r: r.voice), "es-MX-JorgeNeural"),
    "voice.dialect": Row("es-AR", of_voice(lambda r: r.voice), "es-AR-ElenaNeural"),
    "voice.speed": Row(1.3, attribute("prosody", "rate"), "+30%"),
    "voice.pitch": Row(-12.0, attribute("prosody", "pitch"), "-12%"),
    "voice.style": Row("cheerful", attribute("express-as", "style"), "cheerful"),
    "voice.style_degree": Row(
        1.5, attribute("express-as", "styledegree"), "1.5", {"style": "cheerful"}
    ),
    "voice.lexicon": Row({"Spirit": "Espírit"}, attribute("sub", "alias"), "Espírit"),
    "transcriber.provider": Row("browser", listener, "browser"),
    "transcriber.fallbacks": Row(["openai", "groq"], listeners, ["azure", "openai", "groq"]),
    "transcriber.languages": Row(["es-AR", "en-GB"], languages, ["es-AR", "en-GB"]),
    "transcriber.keyterms": Row(["Xcaret"], terms, True),
    "transcriber.denoising": Row("spectral", cleaned, "spectral"),
    "relay.enabled": Row(True, by_twilio(), "ConversationRelay"),
    "relay.voice_provider": Row("Google", by_twilio("ttsProvider"), "Google", {"enabled": True}),
    "relay.voice": Row("Mia", by_twilio("voice"), "Mia", {"enabled": True}),
    "relay.transcriber": Row(
        "Google", by_twilio("transcriptionProvider"), "Google", {"enabled": True}
    ),
    "functions.hang_up": Row(False, offers("hang_up"), False),
    "functions.dtmf": Row(True, offers("send_dtmf"), True),
    "functions.transfer_targets": Row([TARGET], transfer, (["Ventas"], "+525555123456")),
    "functions.hand_off_agents": Row(["grace"], offers("hand_off", "agent"), ["grace"]),
    "functions.take_messages": Row(True, offers("take_message"), True),
    "functions.call_backs": Row(True, offers("call_back"), True),
    "advanced.recording": Row(False, recorded, (False, 0)),
    "advanced.ambience": Row("cafe", room, "cafe"),
    "advanced.ambience_volume": Row(0.7, volume, 0.7, {"ambience": "office"}),
    "advanced.idle_messages": Row(["¿Hola?"], prompts, ("¿Hola?",)),
    "advanced.voicemail": Row(
        "leave_message", left_with_machines, "Soy Andrea.", {"voicemail_message": "Soy Andrea."}
    ),
    "advanced.voicemail_message": Row(
        "Le llamó Andrea.",
        left_with_machines,
        "Le llamó Andrea.",
        {"voicemail": "leave_message", "voicemail_message": "Soy Andrea."},
    ),
    "advanced.verdict_first": Row(True, verdict_first, True),
}
TURNS: dict[str, Any] = {
    "vad_threshold": 0.7,
    "vad_min_speech": 70,
    "vad_min_silence": 260,
    "noise_adaptation": False,
    "endpointing_min": 410,
    "endpointing_max": 2600,
    "endpointing_adaptive": False,
    "endpointing_dictation": 1600,
    "bargein": False,
    "bargein_min_duration": 410,
    "bargein_min_words": 2,
    "backchannels": ("ajá",),
    "false_interruption_timeout": 1600,
    "greeting_protected": 900,
    "keys_terminator": "*",
    "keys_timeout": 1100,
    "keys_max_digits": 4,
    "keys_interrupt": False,
    "preemptive": False,
    "away_after": 11000,
    "away_prompts": 3,
    "caller_turn_limit": 61000,
    "max_duration": 1700000,
    "transcript_timeout": 3100,
    "first_token_timeout": 4100,
    "first_audio_timeout": 3100,
    "filler_after": 1300,
    "send_timeout": 5100,
}
ROWS |= {
    f"transcriber.turns.{name}": Row(value, option(name), value) for name, value in TURNS.items()
}
ROWS["transcriber.turns.vad_prefix"] = Row(240, kept_before_speech, (240, 240))


def settings_of(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Every setting of a profile by its path, groups opened."""
    paths: list[str] = []
    for name, each in model.model_fields.items():
        inner = each.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            paths += settings_of(inner, f"{prefix}{name}.")
        else:
            paths.append(f"{prefix}{name}")
    return paths


def groups(path: str, row: Row, *, changed: bool) -> dict[str, Any]:
    """The profile's groups with the row's value, or with the default instead."""
    group, *inner, name = path.split(".")
    settings = {**row.beside, **({name: row.value} if changed else {})}
    for level in reversed(inner):
        settings = {level: settings}
    return {group: settings}


def test_every_setting_of_a_profile_has_a_row() -> None:
    assert set(ROWS) == set(settings_of(ChannelProfile))


def test_every_row_of_turn_taking_differs_from_the_default() -> None:
    defaults = TurnSettings().model_dump()
    assert [name for name, value in TURNS.items() if defaults[name] == value] == []


@pytest.fixture
def _scripted(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path
    monkeypatch.setattr(session_module, "CallSession", Session)
    monkeypatch.setattr(live, "writer", Writer())  # the process's own goes on for other tests


@pytest.mark.usefixtures("_scripted")
@pytest.mark.parametrize("path", sorted(ROWS))
async def test_a_setting_takes_effect(path: str, tenant: Any, settings: Any) -> None:
    row = ROWS[path]
    async with begun(tenant, settings, **groups(path, row, changed=False)) as world:
        assert await row.see(world) != row.lands, "it is so without the setting, too"
    async with begun(tenant, settings, **groups(path, row, changed=True)) as world:
        assert await row.see(world) == row.lands
