"""A 3CX that is listened to and telephoned with: last words, ringing tones, what is stored."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from agents.brain.errors import ProviderDown
from calls.providers.carriers.carrier import NotAuthentic, Site, Webhook
from calls.providers.carriers.port import Capability, Dial, Handover, LegGone, StreamTarget
from calls.providers.carriers.registry import carrier
from calls.providers.carriers.signals import (
    Answered,
    Bridged,
    EndCause,
    Ended,
    Event,
    HandoverEnded,
    KeysPressed,
    MalformedEvent,
    Ringing,
    Signal,
)
from calls.providers.carriers.threecx import kept
from calls.providers.carriers.threecx.events import ListenOptions
from calls.providers.carriers.threecx.trunk import ThreeCxTrunk
from calls.providers.carriers.trunk import Extension, KnownLeg, News
from tests.peers.threecx import Party, RudePbx, Telephone

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
COMMAND = uuid.UUID(int=7)
QUICK = ListenOptions(first_wait=0.05, longest_wait=0.1)
IDENTITY: dict[str, Any] = {"event_id": "17.42:x", "leg": "17.42", "at": AT}


class Desk:
    """A trunk at a PBX and all that it told."""

    def __init__(self, pbx: RudePbx, known: tuple[KnownLeg, ...]) -> None:
        self.pbx = pbx
        self.told: list[Signal] = []
        self.results: list[Signal] = []
        self.extensions: dict[str, Extension] = {}
        self.said: list[tuple[str, str]] = []
        self.voice_fails = False
        site = Site(tokens=pbx.tokens, voice=self.voice, tell=self.result)
        news = News(self.tell, self.observe, known)
        self.trunk = ThreeCxTrunk(pbx.credentials(), site, news, QUICK)

    def tell(self, signal: Signal) -> None:
        self.told.append(signal)
        self.trunk.pass_on(signal)

    async def result(self, signal: Signal) -> None:
        self.results.append(signal)

    def observe(self, extension: Extension) -> None:
        self.extensions[extension.number] = extension

    async def voice(self, text: str, language: str):
        self.said.append((text, language))
        if self.voice_fails:
            raise ProviderDown("voice", "gone")
        yield bytes(1600)

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(3):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    def caller(self, *, connected: bool = True) -> Party:
        party = self.pbx.ring()
        if connected:
            party.connect()
        return party


@asynccontextmanager
async def a_desk(*known: KnownLeg):
    async with RudePbx().running() as pbx:
        desk = Desk(pbx, known)
        listening = asyncio.create_task(desk.trunk.run())
        try:
            await desk.until(lambda: not desk.trunk.problem)
            yield desk
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await desk.trunk.aclose()


def leg_of(party: Party) -> str:
    return f"{party.id}.{party.call}"


# --- last words and ringing --------------------------------------------------------------


async def test_our_voice_says_the_last_word_and_then_we_leave():
    async with a_desk() as desk:
        party = desk.caller()
        await desk.trunk.api.say_and_hang_up(leg_of(party), "Goodbye.", "en", COMMAND)
        assert desk.said == [("Goodbye.", "en")]
        assert sum(len(stretch.sound) for stretch in party.played.stretches) == 1600
        assert party.left.is_set()


async def test_a_voice_that_fails_keeps_no_line_open():
    async with a_desk() as desk:
        desk.voice_fails = True
        party = desk.caller()
        await desk.trunk.api.say_and_hang_up(leg_of(party), "Goodbye.", "en", COMMAND)
        assert party.left.is_set()


async def test_a_caller_who_still_rings_is_turned_away_without_a_word():
    async with a_desk() as desk:
        party = desk.caller(connected=False)
        await desk.trunk.api.say_and_hang_up(leg_of(party), "Goodbye.", "en", COMMAND)
        assert (party.left.is_set(), desk.said) == (True, [])


async def test_a_last_word_waits_until_the_conversation_has_let_go_of_the_sound():
    async with a_desk() as desk:
        party = desk.caller()
        media = await desk.trunk.open(leg_of(party))
        saying = asyncio.create_task(
            desk.trunk.api.say_and_hang_up(leg_of(party), "Goodbye.", "en", COMMAND)
        )
        await asyncio.sleep(0.05)
        assert desk.said == []
        await media.hang_up(1000)
        await saying
        assert desk.said == [("Goodbye.", "en")]


async def test_a_caller_hears_ringing_while_a_person_is_called():
    async with a_desk() as desk:
        desk.pbx.telephones["200"] = Telephone(picks_up_after=0.3)
        party = desk.caller()
        await desk.trunk.api.hand_over(Handover(leg_of(party), "200", "", "", COMMAND, "en"))
        assert any(any(stretch.sound) for stretch in party.played.stretches)
        assert [type(signal) for signal in desk.results] == [Bridged, HandoverEnded]


async def test_a_person_who_lets_it_ring_leaves_the_caller_with_us_and_their_sound_free():
    async with a_desk() as desk:
        desk.pbx.telephones["200"] = Telephone(reason="NoAnswer")
        party = desk.caller()
        await desk.trunk.api.hand_over(Handover(leg_of(party), "200", "", "", COMMAND, "en"))
        (ended,) = desk.results
        assert (ended.reached, ended.cause) == (False, EndCause.NO_ANSWER)
        media = await desk.trunk.open(leg_of(party))
        await media.hang_up(1000)


async def handing_over_with_a_briefing(desk: Desk, party: Party) -> asyncio.Task[None]:
    """Somebody is rung at extension 200, who will never pick up."""
    desk.pbx.telephones["200"] = Telephone(picks_up_after=60)
    order = Handover(leg_of(party), "200", "", "", COMMAND, "en", briefing="A refund.")
    handing = asyncio.create_task(desk.trunk.api.hand_over(order))
    await desk.until(lambda: len(desk.pbx.own.parties) == 2)
    return handing


async def test_a_caller_hears_ringing_while_a_person_is_rung_to_be_briefed():
    async with a_desk() as desk:
        party = desk.caller()
        handing = await handing_over_with_a_briefing(desk, party)
        await desk.until(lambda: any(any(stretch.sound) for stretch in party.played.stretches))
        assert not handing.done()
        desk.pbx.leave(party)
        with pytest.raises(LegGone):
            await handing


async def test_nobody_is_rung_any_longer_for_a_caller_who_has_left():
    async with a_desk() as desk:
        party = desk.caller()
        handing = await handing_over_with_a_briefing(desk, party)
        (person,) = (each for each in desk.pbx.own.parties.values() if each.began_here)
        desk.pbx.leave(party)
        with pytest.raises(LegGone):
            await handing
        assert person.left.is_set()
        assert (desk.said, desk.results) == ([], [])


async def test_nobody_is_rung_at_all_for_a_caller_who_left_before():
    async with a_desk() as desk:
        party = desk.caller()
        desk.pbx.vanish(party)
        order = Handover(leg_of(party), "200", "", "", COMMAND, "en", briefing="A refund.")
        with pytest.raises(LegGone):
            await desk.trunk.api.hand_over(order)
        assert not [path for _, path in desk.pbx.requests if path.endswith("/makecall")]


# --- who is there ------------------------------------------------------------------------


async def test_legs_of_before_are_followed_and_those_that_are_gone_have_ended():
    gone = KnownLeg("5.30.0a0b0c0d", incoming=True, answered=True)
    async with a_desk(gone) as desk:
        (ended,) = desk.told
        assert isinstance(ended, Ended)
        assert (ended.leg, ended.cause) == ("5.30.0a0b0c0d", EndCause.COMPLETED)


async def test_a_leg_of_before_keeps_its_name():
    async with RudePbx().running() as pbx:
        party = pbx.ring()
        name = f"{leg_of(party)}.0a0b0c0d"
        desk = Desk(pbx, (KnownLeg(name, incoming=True, answered=False),))
        listening = asyncio.create_task(desk.trunk.run())
        await desk.until(lambda: not desk.trunk.problem)
        party.connect()
        pbx.changed(party)
        await desk.until(lambda: desk.told)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await desk.trunk.aclose()
    assert [(type(signal), signal.leg) for signal in desk.told] == [(Answered, name)]


async def test_people_and_queues_are_observed_and_the_route_point_is_not():
    async with a_desk() as desk:
        assert set(desk.extensions) == {"200", "201", "800"}
        assert (desk.extensions["200"].registered, desk.extensions["201"].registered) == (
            True,
            False,
        )


# --- what is stored ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "signal",
    [
        Ringing(**IDENTITY, incoming=True, from_number="+49170", to_number="+4930", session="42"),
        Answered(**IDENTITY),
        Ended(**IDENTITY, cause=EndCause.NO_ANSWER, detail="removed"),
        Bridged(**IDENTITY),
        HandoverEnded(**IDENTITY, reached=False, cause=EndCause.BUSY),
    ],
    ids=lambda signal: type(signal).__name__,
)
def test_what_is_stored_of_a_signal_says_the_same_again(signal):
    assert kept.signals(kept.told(signal)) == [signal]


def test_keys_are_not_stored():
    with pytest.raises(MalformedEvent):
        kept.told(KeysPressed(**IDENTITY, keys="4111"))


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("gossip", {}),
        ("ringing", {"from": "+1"}),
        ("ended", {"cause": "boredom", "detail": ""}),
        ("ended", {}),
        ("handover_ended", {"reached": True}),
    ],
)
def test_a_stored_event_that_is_not_ours_is_malformed(kind, payload):
    event = Event(**IDENTITY, kind=kind, account="", payload=payload)
    with pytest.raises(MalformedEvent):
        kept.signals(event)


def test_nothing_that_is_posted_is_taken_for_a_3cx():
    entry = carrier("threecx")
    request = Webhook("", "https://andrea.example/", {}, b"{}", {})
    credentials = entry.credentials.model_validate(
        {"base_url": "https://pbx.example:5001", "client_id": "ai", "client_secret": "x"}
    )
    with pytest.raises(NotAuthentic):
        entry.verify(request, credentials, 0.0)
    with pytest.raises(MalformedEvent):
        entry.event(request, 0.0)
    assert entry.external_id(credentials) == "ai@pbx.example:5001"
    assert Capability.MACHINE_DETECTION not in entry.capabilities


async def test_a_placed_calls_name_is_its_commands_too():
    async with a_desk() as desk:
        dial = Dial("200", "", StreamTarget("", {}), "", COMMAND)
        first = await desk.trunk.api.place(dial)
        second = await desk.trunk.api.place(replace(dial, command_id=uuid.UUID(int=1 << 100)))
        assert first.endswith(".00000000")
        assert second.endswith(".00000010")
