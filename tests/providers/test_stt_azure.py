"""Azure's real SDK against the stand-in: what it sends, and what happens when the cloud fails."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from agents.brain.errors import (
    BadKey,
    NetworkFailure,
    ProviderDown,
    ProviderError,
    ProviderTimeout,
    QuotaExceeded,
)
from calls.providers.health import ProviderHealth, health_of
from calls.providers.provider import Credentials, RecogniserOptions
from calls.providers.stt.azure import PROVIDER, AzureRecogniser
from calls.simulator.clips import find
from calls.voice.codecs import mulaw_decode, mulaw_encode
from calls.voice.ports import Final
from tests.peers import azure_framing as framing
from tests.peers.azure import MULAW_TAG, Faults, Hearing, RecognitionPeer, Script
from tests.peers.azure_framing import FrontDoor
from tests.peers.clip_hearing import ClipHearing
from tests.providers.sound import next_final, push, request_for, say, silence, speech

PCM_TAG = 1


@dataclass
class Cloud:
    """A running stand-in."""

    peer: RecognitionPeer
    door: FrontDoor
    credentials: Credentials

    @property
    def health(self) -> ProviderHealth:
        return health_of("recogniser", "azure", self.credentials)

    def recogniser(
        self,
        *,
        language: str = "es-MX",
        sample_rate: int = 8000,
        keyterms: tuple[str, ...] = (),
        options: RecogniserOptions | None = None,
    ) -> AzureRecogniser:
        return AzureRecogniser(
            request_for(
                self.credentials,
                name="azure",
                language=language,
                sample_rate=sample_rate,
                keyterms=keyterms,
                options=options,
            )
        )


@asynccontextmanager
async def cloud(
    *texts: str, hearing: Hearing | None = None, key: str = "right", **faults: object
) -> AsyncIterator[Cloud]:
    """A cloud that hears these texts, one an utterance."""
    peer = RecognitionPeer(hearing or Script(texts), Faults(**faults))  # type: ignore[arg-type]
    door = FrontDoor({framing.RECOGNITION_PATH: peer.handle}, key="right")
    async with framing.listening(door) as address:
        yield Cloud(peer, door, Credentials(azure_key=key, azure_endpoint=address))


async def failure_of(recogniser: AzureRecogniser) -> ProviderError:
    """The error that iterating raises."""
    with pytest.raises(ProviderError) as raised:
        async with asyncio.timeout(20):
            async for _ in recogniser:
                continue
    await recogniser.aclose()
    return raised.value


async def test_partials_grow_and_a_final_follows_the_end_of_the_utterance() -> None:
    async with cloud("quiero un tour") as azure:
        recogniser = azure.recogniser()
        await recogniser.open()
        say(recogniser)
        partials, final = await next_final(recogniser)
        await recogniser.aclose()
    assert partials == ["quiero", "quiero un", "quiero un tour"]
    assert (final.text, final.confidence, final.language) == ("quiero un tour", 0.9, "es-MX")
    assert len(azure.peer.commits) == 1
    assert azure.health.answers == len(azure.health.latencies) == 1


async def test_a_telephone_line_goes_over_the_wire_as_raw_mulaw() -> None:
    sound = silence(100) + speech(500) + silence(100)
    async with cloud("sí") as azure:
        recogniser = azure.recogniser()
        await recogniser.open()
        recogniser.start_utterance()
        push(recogniser, sound)
        recogniser.finish_utterance()
        await next_final(recogniser)
        await recogniser.aclose()
    (turn,) = azure.peer.turns
    assert turn.header[:4] == b"RIFF" and turn.header[8:16] == b"WAVEfmt "
    assert (turn.format_tag, turn.rate, turn.bits) == (MULAW_TAG, 8000, 8)
    assert bytes(turn.payload) == mulaw_encode(sound)


async def test_the_browsers_sound_goes_as_pcm_at_16_khz() -> None:
    async with cloud("yes") as azure:
        recogniser = azure.recogniser(language="en", sample_rate=16000)
        await recogniser.open()
        say(recogniser, rate=16000)
        _, final = await next_final(recogniser)
        await recogniser.aclose()
    (turn,) = azure.peer.turns
    assert (turn.format_tag, turn.rate, turn.bits) == (PCM_TAG, 16000, 16)
    assert turn.heard_ms == 1200
    assert (final.text, final.language) == ("yes", "en")


async def test_language_keyterms_silence_and_key_are_sent() -> None:
    async with cloud("sí") as azure:
        recogniser = azure.recogniser(
            language="es",
            keyterms=("Xcaret", "avistamiento de ballenas"),
            options=RecogniserOptions(segmentation_silence=20),
        )
        await recogniser.open()
        say(recogniser)
        await next_final(recogniser)
        await recogniser.aclose()
    (upgrade,) = azure.door.upgrades
    assert upgrade.query["language"] == ["es-MX"]
    assert upgrade.headers["ocp-apim-subscription-key"] == "right"
    context = azure.peer.contexts[0]
    assert [item["Text"] for item in context["dgi"]["Groups"][0]["Items"]] == [
        "Xcaret",
        "avistamiento de ballenas",
    ]
    segmentation = context["phraseDetection"]["CONVERSATION"]["segmentation"]
    assert segmentation["segmentationSilenceTimeoutMs"] == 100  # the least it accepts


async def test_several_languages_are_told_apart_while_the_call_runs() -> None:
    async with cloud("sí") as azure:
        recogniser = azure.recogniser(
            options=RecogniserOptions(further_languages=("en-GB", "es-ES", "pt"))
        )
        await recogniser.open()
        say(recogniser)
        await next_final(recogniser)
        await recogniser.aclose()
    detection = azure.peer.contexts[0]["languageId"]
    assert detection["languages"] == ["es-MX", "en-GB", "pt-BR"]
    assert detection["mode"] == "DetectContinuous"


async def test_a_second_utterance_goes_through_the_same_stream() -> None:
    async with cloud("uno", "dos") as azure:
        recogniser = azure.recogniser()
        await recogniser.open()
        texts = []
        for _ in range(2):
            say(recogniser)
            texts.append((await next_final(recogniser))[1].text)
        await recogniser.aclose()
    assert texts == ["uno", "dos"]
    assert len(azure.door.upgrades) == len(azure.peer.turns) == 1


async def test_sound_from_before_the_stream_was_open_is_not_lost() -> None:
    async with cloud("hola") as azure:
        recogniser = azure.recogniser()
        recogniser.start_utterance()
        push(recogniser, speech(400))
        await recogniser.open()
        recogniser.finish_utterance()
        _, final = await next_final(recogniser)
        await recogniser.aclose()
    assert final.text == "hola"
    assert bytes(azure.peer.turns[0].payload) == mulaw_encode(speech(400))


async def test_what_the_service_finishes_by_itself_comes_at_once_and_once() -> None:
    async with cloud("uno", "dos") as azure:
        recogniser = azure.recogniser()
        await recogniser.open()
        recogniser.start_utterance()
        push(recogniser, speech(600) + silence(700))
        _, by_itself = await next_final(recogniser)
        recogniser.finish_utterance()
        say(recogniser)
        _, following = await next_final(recogniser)
        await recogniser.aclose()
    assert (by_itself.text, following.text) == ("uno", "dos")


async def test_noise_is_answered_with_an_empty_final() -> None:
    async with cloud() as azure:  # nothing scripted: NoMatch
        recogniser = azure.recogniser()
        await recogniser.open()
        say(recogniser)
        partials, final = await next_final(recogniser)
        await recogniser.aclose()
    assert (partials, final) == ([], Final(""))


async def test_words_survive_a_service_that_never_finishes_them() -> None:
    async with cloud("quiero un tour", answer_commits=False) as azure:
        azure.peer.silence_ms = 1e9
        recogniser = azure.recogniser(options=RecogniserOptions(patience=300))
        await recogniser.open()
        say(recogniser)
        _, final = await next_final(recogniser)
        await recogniser.aclose()
    assert final.text == "quiero un tour"


async def test_a_late_final_is_not_said_twice() -> None:
    async with cloud("uno", "dos", slow=0.5) as azure:
        recogniser = azure.recogniser(options=RecogniserOptions(patience=100))
        await recogniser.open()
        say(recogniser)
        _, made_up = await next_final(recogniser)
        await azure.peer.finals.get()
        azure.peer.faults.slow = 0
        say(recogniser)
        _, second = await next_final(recogniser)
        await recogniser.aclose()
    assert (made_up.text, second.text) == ("uno", "dos")


async def test_a_mute_socket_is_given_up_after_two_utterances() -> None:
    async with cloud("nunca", mute=True) as azure:
        recogniser = azure.recogniser(options=RecogniserOptions(patience=150))
        await recogniser.open()
        say(recogniser)
        _, final = await next_final(recogniser)
        assert final == Final("")
        say(recogniser)
        error = await failure_of(recogniser)
    assert isinstance(error, ProviderTimeout)
    assert azure.health.errors["ProviderTimeout"] == 1


async def test_a_wrong_key_is_told_before_anybody_speaks() -> None:
    async with cloud("hola", key="wrong") as azure:
        recogniser = azure.recogniser()
        await recogniser.open()
        error = await failure_of(recogniser)
    assert isinstance(error, BadKey)
    assert "401" in str(error)
    assert len(azure.door.upgrades) == 1
    assert azure.health.errors == {"BadKey": 1}


@pytest.mark.parametrize(("status", "kind"), [(429, QuotaExceeded), (503, ProviderDown)])
async def test_a_refused_connection_has_its_reason(status: int, kind: type[ProviderError]) -> None:
    async with cloud("hola") as azure:
        azure.door.refuse = status
        recogniser = azure.recogniser()
        await recogniser.open()
        error = await failure_of(recogniser)
    assert type(error) is kind


async def talk_on(recogniser: AzureRecogniser) -> None:
    """A caller who never stops, in real time."""
    while True:
        push(recogniser, speech(20))
        await asyncio.sleep(0.02)


async def test_a_socket_that_breaks_again_and_again_ends_in_an_error() -> None:
    async with cloud("hola", cut_after=100) as azure:
        recogniser = azure.recogniser()
        await recogniser.open()
        talking = asyncio.create_task(talk_on(recogniser))
        error = await failure_of(recogniser)
        talking.cancel()
    assert isinstance(error, ProviderDown)
    assert "1011" in str(error)
    assert len(azure.door.upgrades) > 1  # the SDK tried by itself


async def test_a_socket_that_breaks_once_costs_no_words() -> None:
    async with cloud("hola buenos días", cut_after=100, cuts=1) as azure:
        recogniser = azure.recogniser()
        await recogniser.open()
        recogniser.start_utterance()
        talking = asyncio.create_task(talk_on(recogniser))
        async for partial in recogniser:
            if partial.text == "hola buenos días":
                break
        talking.cancel()
        recogniser.finish_utterance()
        _, final = await next_final(recogniser)
        await recogniser.aclose()
    assert final.text == "hola buenos días"
    assert len(azure.door.upgrades) == 2


async def test_nobody_at_the_other_end_is_a_network_failure() -> None:
    credentials = Credentials(azure_key="k", azure_endpoint="ws://127.0.0.1:9")
    recogniser = AzureRecogniser(request_for(credentials, name="azure"))
    await recogniser.open()
    assert isinstance(await failure_of(recogniser), NetworkFailure)


async def test_a_nonsensical_address_is_told_with_its_reason() -> None:
    credentials = Credentials(azure_key="k", azure_endpoint="nonsense")
    recogniser = AzureRecogniser(request_for(credentials, name="azure"))
    await recogniser.open()
    assert "URL" in str(await failure_of(recogniser))


async def test_a_missing_region_is_refused_when_it_is_opened() -> None:
    recogniser = AzureRecogniser(request_for(Credentials(azure_key="k"), name="azure"))
    with pytest.raises(ProviderDown, match="did not start"):
        await recogniser.open()
    await recogniser.aclose()


async def test_the_loop_goes_on_while_a_slow_server_is_dialled() -> None:
    async with cloud("hola") as azure:
        azure.door.delay = 1.0
        recogniser = azure.recogniser()
        started = time.perf_counter()
        await recogniser.open()
        say(recogniser)
        assert time.perf_counter() - started < 0.9
        _, final = await next_final(recogniser)
        await recogniser.aclose()
    assert final.text == "hola"


async def test_closing_ends_the_iteration_the_socket_and_every_callback() -> None:
    async with cloud("hola") as azure:
        recogniser = azure.recogniser()
        await recogniser.open()
        reading = asyncio.create_task(next_final(recogniser))
        push(recogniser, speech(300))
        await asyncio.sleep(0.1)
        await recogniser.aclose()
        await recogniser.aclose()
        with pytest.raises(AssertionError, match="ended without a final"):
            await reading
        push(recogniser, speech(300))
        recogniser.start_utterance()
    assert recogniser._link is None
    assert not [t for t in threading.enumerate() if "Dummy" in t.name]


async def test_closing_while_opening_leaves_nothing_behind() -> None:
    async with cloud("hola") as azure:
        recogniser = azure.recogniser()
        opening = asyncio.create_task(recogniser.open())
        await asyncio.sleep(0)
        await recogniser.aclose()
        await opening
    assert recogniser._link is None


_LEAVE_IT_OPEN = """
import asyncio, sys
from calls.providers.registry import Credentials, build_recognisers

async def main():
    credentials = Credentials(azure_key="right", azure_endpoint=sys.argv[1])
    recogniser, *_ = build_recognisers(
        provider="azure", language="es-MX", sample_rate=8000, credentials=credentials
    )
    await recogniser.open()
    recogniser.push(bytes([0, 32]) * 8000)
    async for heard in recogniser:
        return print(heard.text)

asyncio.run(main())
"""


async def test_a_process_that_ends_in_the_middle_of_a_call_ends_in_peace() -> None:
    async with cloud("hola") as azure:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _LEAVE_IT_OPEN, azure.credentials.azure_endpoint),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, out, errors) == (0, b"hola\n", b"")


async def test_a_spanish_demonstration_call_is_understood_by_its_clips() -> None:
    async with cloud(hearing=ClipHearing()) as azure:
        recogniser = azure.recogniser()
        await recogniser.open()
        heard = []
        for name in ("es-reservar", "es-si", "es-adios"):
            recogniser.start_utterance()
            push(recogniser, mulaw_decode(mulaw_encode(find(name).pcm())) + silence(200))
            recogniser.finish_utterance()
            heard.append((await next_final(recogniser))[1].text)
        await recogniser.aclose()
    assert heard == ["Hola, quiero reservar un tour.", "Sí.", "Gracias, adiós."]


@pytest.mark.parametrize(
    ("credentials", "reason"),
    [
        (Credentials(), "AZURE_SPEECH_KEY is not set"),
        (Credentials(azure_key="k"), "AZURE_SPEECH_REGION is not set"),
        (Credentials(azure_key="k", azure_region="eastus"), ""),
        (Credentials(azure_endpoint="ws://localhost:5000"), ""),
    ],
)
def test_it_says_which_setting_is_missing(credentials: Credentials, reason: str) -> None:
    assert PROVIDER.missing(credentials) == reason
