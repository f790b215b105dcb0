"""Every carrier behind one face: a stand-in, our adapter to it, and somebody who telephones.

A new carrier is one class that keeps to `Exchange`, and one row in `EXCHANGES`; pages are lines
without a carrier (`pages.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from enum import Enum, auto
from typing import Any

from calls.providers.carriers.carrier import Site
from calls.providers.carriers.port import Capability, CarrierApi, Dial, Handover, StreamTarget
from calls.providers.carriers.signals import Answered, EndCause, Ended, Signal
from calls.providers.carriers.telnyx.carrier import CARRIER as TELNYX
from calls.providers.carriers.threecx.carrier import CARRIER as THREECX
from calls.providers.carriers.threecx.control import ActionFailed
from calls.providers.carriers.threecx.trunk import ThreeCxTrunk
from calls.providers.carriers.trunk import News
from calls.providers.carriers.twilio.carrier import CARRIER as TWILIO
from calls.voice.codecs import mulaw_decode, mulaw_encode
from tests.peers import telnyx, threecx, twilio_cloud
from tests.providers.carriers import telnyx_office, twilio_office
from tests.providers.carriers.office import Office, Witness

CALLER, OURS, PERSON = "+525512345678", "+14155550100", "+493012345"
FAILING = 50  # requests of each kind that fail while a carrier's API is down
FRAME = 320


class Manner(Enum):
    """How the person at `PERSON` behaves when called."""

    ANSWERS = auto()
    BUSY = auto()
    AWAY = auto()
    DECLINES = auto()
    MACHINE = auto()


class FarEnd(ABC):
    """Whoever is at the other end of a leg."""

    leg: str

    @abstractmethod
    async def say(self, pcm: bytes) -> None:
        """Speak PCM16 at 8 kHz."""

    @abstractmethod
    async def press(self, key: str) -> None:
        """Press a key."""

    @abstractmethod
    async def hang_up(self) -> None:
        """Hang up."""

    @abstractmethod
    async def lose_media(self) -> None:
        """The sound breaks off, and nobody says so; the leg lives on."""

    @property
    @abstractmethod
    def heard(self) -> bytes:
        """All the sound that came, as PCM16."""

    def has_heard(self, pcm: bytes) -> bool:
        """Whether that sound came: exactly, or as mu-law has it."""
        return pcm in self.heard or mulaw_decode(mulaw_encode(pcm)) in self.heard

    @property
    @abstractmethod
    def left_to_play(self) -> float:
        """Seconds of sound that came and will still be heard."""

    @property
    @abstractmethod
    def is_gone(self) -> bool:
        """Whether the leg is over."""


class Line(ABC):
    """A way to call us, with our adapter to it. `witness` has what was told."""

    witness: Witness
    rate = 8000  # of its media

    @abstractmethod
    async def call(self) -> FarEnd:
        """`CALLER` calls, is answered, and sound runs both ways."""

    @abstractmethod
    async def hang_up(self, far: FarEnd) -> None:
        """The agent ends the call."""


class Exchange(Line):
    """One carrier: it also calls whom we want, and tells what becomes of its legs."""

    capabilities: frozenset[Capability]
    api: CarrierApi
    signals_url = ""

    @abstractmethod
    def person(self, manner: Manner) -> None:
        """Say how the person at `PERSON` behaves."""

    @abstractmethod
    async def placed(self, leg: str) -> FarEnd:
        """Who picked up a leg that was placed, once sound runs both ways."""

    @abstractmethod
    async def joined(self, caller: FarEnd) -> None:
        """Wait until caller and person talk; then the person hangs up."""

    @abstractmethod
    async def attached_again(self, far: FarEnd) -> None:
        """Bring the sound of a leg back whose stream was lost."""

    @abstractmethod
    def api_is_down(self, *, down: bool) -> None:
        """Have the carrier's API fail, or work again."""

    @abstractmethod
    def tell_twice(self) -> None:
        """Have the carrier tell everything again."""

    @abstractmethod
    def keys_pressed(self, far: FarEnd) -> str:
        """Keys that the carrier was told by command to press."""

    def dial(self, **changes: Any) -> Dial:
        """An order to call the person."""
        stream = StreamTarget("", {})
        if isinstance(self.witness, Office):
            stream = self.witness.target("out", self.signals_url)
        return Dial(PERSON, OURS, stream, self.signals_url, uuid.uuid4(), **changes)

    def handover(self, caller: FarEnd, briefing: str = "") -> Handover:
        """An order to hand the caller to the person."""
        return Handover(caller.leg, PERSON, OURS, self.signals_url, uuid.uuid4(), "es", 5, briefing)

    async def hang_up(self, far: FarEnd) -> None:
        await self.api.hang_up(far.leg, uuid.uuid4())

    def in_signals(self, leg: str) -> str:
        """By what name signals call a leg that was placed."""
        return leg

    async def cause_of_placing(self) -> EndCause:
        """Call the person in vain; why."""
        ended: Ended = await self.witness.told(Ended, await self.api.place(self.dial()))
        return ended.cause


# --- carriers that call us -----------------------------------------------------------------


class StreamedFarEnd(FarEnd):
    """The other end of a leg whose sound comes as mu-law over a media socket."""

    def __init__(self, leg: str, record: Any, end: Callable[[], Any]) -> None:
        self.leg, self._record, self._end = leg, record, end

    async def say(self, pcm: bytes) -> None:
        await self._record.stream.media(mulaw_encode(pcm))

    async def press(self, key: str) -> None:
        await self._record.stream.dtmf(key)

    async def hang_up(self) -> None:
        await self._end()

    async def lose_media(self) -> None:
        await self._record.stream.vanish()

    @property
    def heard(self) -> bytes:
        stretches = self._record.stream.playout.stretches
        return b"".join(mulaw_decode(bytes(stretch.sound)) for stretch in stretches)

    @property
    def left_to_play(self) -> float:
        stream = self._record.stream
        return float(stream.playout.plays_until - stream.clock())

    @property
    def is_gone(self) -> bool:
        return not self._record.is_alive


class TelnyxExchange(Exchange):
    capabilities = TELNYX.capabilities
    _PEOPLE = {
        Manner.ANSWERS: telnyx.Person(),
        Manner.BUSY: telnyx.Person(hangup_cause="user_busy"),
        Manner.AWAY: telnyx.Person(hangup_cause="timeout"),
        Manner.DECLINES: telnyx.Person(keys="2"),
        Manner.MACHINE: telnyx.Person(detected="machine"),
    }

    def __init__(self, office: telnyx_office.TelnyxOffice, cloud: telnyx.RudeCloud) -> None:
        self.witness = self.office = office
        self.api, self.cloud = office.api, cloud
        self.signals_url = f"{office.url}/signals"

    def person(self, manner: Manner) -> None:
        self.cloud.people[PERSON] = self._PEOPLE[manner]

    async def call(self) -> FarEnd:
        return await self.placed((await self.cloud.call(to=OURS, caller=CALLER)).id)

    async def placed(self, leg: str) -> FarEnd:
        record = self.cloud.legs[leg]
        await self.witness.until(lambda: record.stream and self.witness.media)
        return StreamedFarEnd(leg, record, lambda: self._stop(record))

    @staticmethod
    async def _stop(record: telnyx.Leg) -> None:
        assert record.stream is not None
        await record.stream.stop()

    async def joined(self, caller: FarEnd) -> None:
        record = self.cloud.legs[caller.leg]
        person = await self.witness.until(lambda: record.bridged_to)
        await self.cloud.end(person, "normal_clearing", "callee")

    async def attached_again(self, far: FarEnd) -> None:
        count = len(self.witness.media)
        target = self.office.target("again")
        await self.api.reattach(far.leg, target, uuid.uuid4())
        await self.witness.until(lambda: len(self.witness.media) > count)

    def api_is_down(self, *, down: bool) -> None:
        self.cloud.faults.clear()
        self.cloud.faults.extend([telnyx.Fault(status=503)] * FAILING * down)

    def tell_twice(self) -> None:
        self.cloud.twice = True

    def keys_pressed(self, far: FarEnd) -> str:
        commands = (body for path, body in self.cloud.requests if path.endswith("send_dtmf"))
        return "".join(body["digits"] for body in commands)


class TwilioExchange(Exchange):
    capabilities = TWILIO.capabilities
    _PEOPLE = {
        Manner.ANSWERS: twilio_cloud.Person(),
        Manner.BUSY: twilio_cloud.Person(status="busy"),
        Manner.AWAY: twilio_cloud.Person(status="no-answer"),
        Manner.DECLINES: twilio_cloud.Person(keys="2"),
        Manner.MACHINE: twilio_cloud.Person(answered_by="machine_end_beep"),
    }

    def __init__(self, office: twilio_office.TwilioOffice, cloud: twilio_cloud.RudeCloud) -> None:
        self.witness, self.api, self.cloud = office, office.api, cloud
        self.signals_url, office.goes_on = office.hooks, True

    def person(self, manner: Manner) -> None:
        self.cloud.people[PERSON] = self._PEOPLE[manner]

    async def call(self) -> FarEnd:
        return await self.placed((await self.cloud.call(to=OURS, caller=CALLER)).sid)

    async def placed(self, leg: str) -> FarEnd:
        record = self.cloud.legs[leg]
        await self.witness.until(lambda: record.stream and self.witness.media)
        return StreamedFarEnd(leg, record, lambda: self.cloud.hang_up(record))

    async def joined(self, caller: FarEnd) -> None:
        record = self.cloud.legs[caller.leg]
        await self.cloud.hang_up(await self.witness.until(lambda: record.bridged_to))

    async def attached_again(self, far: FarEnd) -> None:
        """Twilio asks by itself what comes after a stream."""
        await self.witness.until(lambda: len(self.witness.media) > 1)

    def api_is_down(self, *, down: bool) -> None:
        self.cloud.faults.clear()
        self.cloud.faults.extend([twilio_cloud.Fault(status=503)] * FAILING * down)

    def tell_twice(self) -> None:
        self.cloud.twice = True

    def keys_pressed(self, far: FarEnd) -> str:
        return ""  # Twilio has no command for keys


# --- a carrier that we call -----------------------------------------------------------------


class PartyFarEnd(FarEnd):
    """A party at a PBX."""

    def __init__(self, pbx: threecx.RudePbx, party: threecx.Party) -> None:
        self.leg, self.party, self._pbx = f"{party.id}.{party.call}", party, pbx

    async def say(self, pcm: bytes) -> None:
        self.party.say(pcm)

    async def press(self, key: str) -> None:
        self._pbx.press(self.party, key)

    async def hang_up(self) -> None:
        self._pbx.leave(self.party)

    async def lose_media(self) -> None:
        self._pbx.cut_sound()

    @property
    def heard(self) -> bytes:
        return b"".join(bytes(stretch.sound) for stretch in self.party.played.stretches)

    @property
    def left_to_play(self) -> float:
        return self.party.played.plays_until - time.monotonic()

    @property
    def is_gone(self) -> bool:
        return self.party.left.is_set()


class ThreeCxExchange(Exchange):
    capabilities = THREECX.capabilities
    _TELEPHONES = {
        Manner.ANSWERS: threecx.Telephone(picks_up_after=0.01),
        Manner.BUSY: threecx.Telephone(reason="PhoneBusy"),
        Manner.AWAY: threecx.Telephone(reason="NoAnswer"),
        Manner.DECLINES: threecx.Telephone(picks_up_after=0.01),
    }

    def __init__(self, pbx: threecx.RudePbx) -> None:
        self.pbx, self.witness = pbx, Witness()
        self._key = "1"
        site = Site(tokens=pbx.tokens, voice=self._speak, tell=self._result)
        self.trunk = ThreeCxTrunk(pbx.credentials(), site, News(self._take))
        self.api = self.trunk.api
        self._tasks: set[asyncio.Task[None]] = set()

    def person(self, manner: Manner) -> None:
        self._key = "2" if manner is Manner.DECLINES else "1"
        self.pbx.telephones[PERSON] = self._TELEPHONES[manner]

    async def call(self) -> FarEnd:
        far = PartyFarEnd(self.pbx, self.pbx.ring(CALLER, OURS))
        await self.api.answer(far.leg, StreamTarget("", {}), uuid.uuid4())
        await self.witness.told(Answered, far.leg)
        await self._attach(far)
        return far

    async def placed(self, leg: str) -> FarEnd:
        await self.witness.told(Answered, self.in_signals(leg))
        number = int(leg.partition(".")[0])
        far = PartyFarEnd(self.pbx, self.pbx.own.parties[number])
        await self._attach(far)
        return far

    async def joined(self, caller: FarEnd) -> None:
        assert isinstance(caller, PartyFarEnd)
        await self.witness.until(lambda: caller.party.routed_to == PERSON)

    async def attached_again(self, far: FarEnd) -> None:
        assert isinstance(far, PartyFarEnd)
        await self.api.reattach(far.leg, StreamTarget("", {}), uuid.uuid4())
        await self._attach(far)

    async def _attach(self, far: PartyFarEnd) -> None:
        media = await self.trunk.open(far.leg)
        self.witness.media.append(media)
        self._start(self._listen(media))

    async def _listen(self, media: Any) -> None:
        async for event in media:
            self.witness.events.append(event)

    def _take(self, signal: Signal) -> None:
        self.witness.signals.append(signal)
        self.trunk.pass_on(signal)

    async def _result(self, signal: Signal) -> None:
        self.witness.signals.append(signal)

    async def _speak(self, _text: str, _language: str) -> AsyncGenerator[bytes, None]:
        """Brief the person, who presses their key when they have begun to hear it."""
        yield bytes(FRAME)
        (party,) = (each for each in self.pbx.own.parties.values() if each.number == PERSON)
        self.pbx.press(party, self._key)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def api_is_down(self, *, down: bool) -> None:
        actions = [(action, 503) for action in ("/makecall", "/routeto", "/transferto", "/drop")]
        self.pbx.faults.statuses = actions * FAILING * down

    def tell_twice(self) -> None:
        self.pbx.faults.duplicates = True

    def keys_pressed(self, far: FarEnd) -> str:
        return ""  # a PBX has no command for keys

    def in_signals(self, leg: str) -> str:
        """The PBX knows nothing of the command, which is the name's last part."""
        return leg.rpartition(".")[0]

    async def cause_of_placing(self) -> EndCause:
        """The PBX says in its answer what others signal."""
        try:
            return await super().cause_of_placing()
        except ActionFailed as failed:
            return failed.cause

    async def close(self) -> None:
        """Let go of all that is open."""
        for media in self.witness.media:
            await media.hang_up(1000)
        await asyncio.gather(*self._tasks)
        await self.trunk.aclose()


# --- all of them ----------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def at_telnyx() -> AsyncIterator[Exchange]:
    async with telnyx_office.an_office() as (office, cloud):
        yield TelnyxExchange(office, cloud)


@contextlib.asynccontextmanager
async def at_twilio() -> AsyncIterator[Exchange]:
    async with twilio_office.an_office() as (office, cloud):
        yield TwilioExchange(office, cloud)


@contextlib.asynccontextmanager
async def at_threecx() -> AsyncIterator[Exchange]:
    async with threecx.RudePbx().running() as pbx:
        exchange = ThreeCxExchange(pbx)
        listening = asyncio.create_task(exchange.trunk.run())
        await exchange.witness.until(lambda: not exchange.trunk.problem)
        try:
            yield exchange
        finally:
            await exchange.close()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


EXCHANGES: dict[str, Callable[[], AbstractAsyncContextManager[Exchange]]] = {
    "telnyx": at_telnyx,
    "threecx": at_threecx,
    "twilio": at_twilio,
}
