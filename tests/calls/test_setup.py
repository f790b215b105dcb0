"""What a version makes of a call: who speaks and listens, in which language, and who steps in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from calls.carriers.tokens import widget_token
from calls.line import setup as composition
from calls.line.setup import load, recognisers_for, voices_for
from calls.models import Call, CallEvent
from calls.providers.health import forget_all
from calls.providers.provider import Credentials
from config.asgi import application
from tenants.db import run_in_tenant, run_unscoped
from tests.calls.conftest import Desk, staff_desk
from tests.calls.phone import BROWSER, QUICK, LoudIsSpeech, Phone, noise
from tests.peers.azure_framing import FrontDoor
from tests.peers.azure_framing import listening as azure_listening
from tests.peers.openai_audio import TranscriptionServer
from tests.peers.openai_audio import listening as openai_listening
from tests.peers.openai_speech import SpeechServer

pytestmark = pytest.mark.django_db(transaction=True)

NUMBER = "+525512340001"


# --- the language of the call -------------------------------------------------------------


async def heard_and_said(
    monkeypatch: pytest.MonkeyPatch, desk: Desk, language: str
) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """The opening of a call, and what is asked of its voices and its recognisers."""
    wishes: dict[str, dict[str, Any]] = {}
    for name in ("build_synthesisers", "build_recognisers"):
        monkeypatch.setattr(
            composition, name, lambda name=name, **wish: wishes.update({name: wish}) or []
        )
    setup = await run_in_tenant(desk.tenant.id, load, desk.version, "twilio", language, 8000)
    voices_for(setup.opening, 8000)
    recognisers_for(setup, 8000, page_recognises=False)
    return setup.opening, wishes["build_synthesisers"], wishes["build_recognisers"]


@pytest.mark.parametrize(
    ("voice", "language", "dialect", "name"),
    [
        ({"dialect": "en-GB", "voice": "en-GB-RyanNeural"}, "en", "en-GB", "en-GB-RyanNeural"),
        ({"dialect": "en-GB", "voice": "en-GB-RyanNeural"}, "es", "es-MX", "male"),
        ({"dialect": "en-GB", "voice": "nova"}, "es", "es-MX", "nova"),
        ({"dialect": "en-GB"}, "es", "es-MX", ""),
        ({"dialect": "en-GB", "voices": {"es-ES": "es-ES-AbrilNeural"}}, "es", "es-ES",
         "es-ES-AbrilNeural"),
    ],
)  # fmt: skip
async def test_a_call_is_spoken_in_its_own_language(
    monkeypatch, tenant, voice, language, dialect, name
):
    desk = await run_unscoped(
        staff_desk, tenant, NUMBER, language="en", also=("es",), voice=voice,
        transcriber={"languages": ["en-GB"]},
    )  # fmt: skip
    opening, spoken, heard = await heard_and_said(monkeypatch, desk, language)
    assert (opening.language, opening.greeting) == (
        language,
        {"es": "Hola.", "en": "Hello."}[language],
    )
    assert (spoken["language"], spoken["voice"]) == (dialect, name)
    assert heard["language"] == ("en-GB" if language == "en" else "es-MX")
    further = () if language == "en" else ("en-GB",)
    assert heard["options"].further_languages == further


@pytest.mark.parametrize(
    ("speaks", "caller", "language"),
    [
        (("es", "en"), "+14155550100", "en"),
        (("es", "en"), "+525598765432", "es"),
        (("en", "es"), "+525598765432", "es"),
        (("es", "en"), "anonymous", "es"),
        (("es",), "+14155550100", "es"),
    ],
)
async def test_a_caller_is_answered_in_the_language_of_their_number(
    tenant, ring, speaks, caller, language
):
    first, *also = speaks
    desk = await run_unscoped(staff_desk, tenant, NUMBER, language=first, also=tuple(also))
    await ring(desk.number, From=caller)
    [call] = await run_in_tenant(tenant.id, lambda: list(Call.objects.all()))
    assert call.language == language


# --- who steps in -------------------------------------------------------------------------


@pytest.fixture
async def failing_cloud(
    settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Credentials]:
    """Azure refuses its key, ElevenLabs is not there, Groq is down; OpenAI's server works."""
    forget_all()
    settings.MEDIA_ROOT = tmp_path
    monkeypatch.setattr(composition, "SileroDetector", LoudIsSpeech)
    good = TranscriptionServer(key=None, voices=SpeechServer(key=None))
    good.hearing = Always("¿Cuánto cuesta el tour?")
    async with (
        azure_listening(FrontDoor({}, refuse=401)) as azure,
        openai_listening(TranscriptionServer(status=503)) as groq,
        openai_listening(good) as openai,
    ):
        settings.SPEECH_CREDENTIALS = Credentials(
            azure_key="a", azure_endpoint=azure, groq_key="g", groq_base_url=groq,
            elevenlabs_key="e", elevenlabs_base_url="http://127.0.0.1:1", openai_audio_key="o",
            openai_audio_base_url=f"{openai}/v1",
        )  # fmt: skip
        yield settings.SPEECH_CREDENTIALS
    forget_all()


class Always:
    """Hears the same words in everything."""

    def __init__(self, text: str) -> None:
        self._text = text

    def words(self, pcm: bytes, rate: int, whole: bool) -> str:
        return self._text


@pytest.mark.usefixtures("failing_cloud")
async def test_when_two_providers_fail_the_third_of_the_profile_carries_the_call(tenant, quiet):
    desk = await run_unscoped(
        staff_desk, tenant, NUMBER,
        model={"provider": "embedded"},
        voice={"provider": "azure", "fallbacks": ["elevenlabs", "openai"]},
        transcriber={
            "provider": "azure", "fallbacks": ["groq", "openai"],
            "turns": {**QUICK, "preemptive": False},
        },
    )  # fmt: skip
    phone = Phone(
        application, BROWSER, f"client=browser&token={widget_token(desk.agent.public_id)}"
    )
    phone.socket.put({"type": "start", "sample_rate": 16000})
    await phone.until(lambda m: m["type"] == "turn" and m["role"] == "agent")
    for sound in (noise(600, 16000), bytes(32 * 600)):
        for at in range(0, len(sound), 640):
            phone.socket.put(sound[at : at + 640])
    answer = await phone.until(
        lambda m: m["type"] == "turn" and m["role"] == "agent" and "cien" in m["text"], 20
    )
    phone.socket.put({"type": "hangup"})
    await phone.over()
    await quiet.writer.drained(5)
    assert answer["heard_text"] == answer["text"]
    assert await replaced(tenant, "voice") == ["elevenlabs", "openai"]
    assert await replaced(tenant, "recogniser") == ["groq", "openai"]


async def replaced(tenant: Any, kind: str) -> list[str]:
    """Who took over, in order."""

    def read() -> list[str]:
        events = CallEvent.objects.filter(name="provider_replaced").order_by("sequence")
        return [event.data["provider"] for event in events if event.data["kind"] == kind]

    return await run_in_tenant(tenant.id, read)
