"""Sees one call through, from its first frame to its last row.

Everything that touches the database happens before the first frame, or through the store's
writer, or in `run_in_tenant`. What can be done while the phone still rings is done by then
(`calls.ringing`): the greeting is in the phrase cache when the caller listens, in this process or
in the folder that processes share.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from agents.models import Agent, AgentVersion
from agents.profiles import AdvancedSettings
from agents.selectors import agent_by_slug, published_version
from calls.adapters import LaterRecorder, LaterStore, MindBrain, NoRecorder
from calls.feed import PageFeed
from calls.live import live
from calls.models import Call, Direction, Recording
from calls.pickups import pickups
from calls.providers.carriers.stream import CallMedia
from calls.providers.stt.browser import BrowserRecogniser
from calls.providers.tts.cache import prepare, recall
from calls.recordings import recording_path, recordings_folder
from calls.resuming import Past, past_of
from calls.rows import HANDED_OVER, CallRef, Closing
from calls.services.calls import call_hand_over
from calls.services.keys import keys_press
from calls.setup import (
    Opening,
    Setup,
    ambience_for,
    channel_of,
    cleaner_for,
    detector_for,
    load,
    recognisers_for,
    turn_options,
    voices_for,
)
from calls.store import CallStore
from calls.voice import (
    CallSession,
    Event,
    HandOff,
    HeuristicJudge,
    LoopClock,
    Ports,
    Transfer,
    TurnOptions,
)
from calls.voice.ports import ConversationItem, Recogniser, Recorder, Synthesiser
from calls.voice.recording import WavRecorder
from tenants.db import run_in_tenant

log = logging.getLogger(__name__)

# For the page alone: partials pass, and a finished turn is a row of its own.
TRANSIENT = frozenset({Event.TRANSCRIPT_PARTIAL.value, Event.TURN_FINISHED.value})
MEDIA_FIGURES, MEDIA_FAULT = "media_figures", "media_fault"
HAND_OFF_FAILED = "hand_off_failed"
FLUSH_SECONDS = 2.0
PRESS_SECONDS = 2.0
MOST_HAND_OFFS = 8  # two agents that pass a caller to and fro must not do so for ever


class StoredCall:
    """An admitted call with a row: implements `AdmittedCall`.

    `page` shows it while it runs; `page_recognises` says whether the page has a recogniser of
    its own, which is used where the profile wants it and told of by `page_heard`.
    """

    def __init__(
        self,
        call: Call,
        *,
        page: PageFeed | None = None,
        page_recognises: bool = False,
    ) -> None:
        self.public_id: uuid.UUID = call.public_id
        self._call, self._page, self._page_recognises = call, page, page_recognises
        self._page_ears: BrowserRecogniser | None = None
        self._providers: dict[str, str] = {}
        self._transfers: Mapping[str, str] = {}
        self._session: CallSession | None = None
        self._recording: WavRecorder | None = None  # once a part of the call is recorded
        self._stream_since = 0.0  # ms into the call at which its present stream began
        self._until = math.inf  # ms into the call: its longest duration
        self._reason = ""
        self._began = time.monotonic()
        self._hand_offs = 0
        self._store = CallStore(
            CallRef(call.tenant_id, call.pk, call.public_id),
            live.writer,
            watch=page.take if page is not None else None,
            transient=TRANSIENT,
        )

    async def begin(self, media: CallMedia) -> CallSession:
        """Load and build everything; the page is told who listens, thinks and speaks."""
        setup, recording, past = await run_in_tenant(
            self._call.tenant_id, _open_or_resume, self._call, media.sample_rate
        )
        self._began = time.monotonic() - past.since / 1000
        self._stream_since = past.since
        self._store.go_on(events=past.next_event, turns=past.next_turn)
        voices = await self._voices(setup.opening, media.sample_rate)
        recorder: Recorder = self._recorder(recording, media.sample_rate)
        if past.since:
            recorder = LaterRecorder(recorder, past.since, stream_since=past.since)
        self._session = self._build(
            setup, media, recorder, voices, since=past.since, history=past.said
        )
        if self._call.direction == Direction.OUTBOUND and not past.since:
            pickups.watch(self._store.call, self._machine_answered)
            await pickups.look(self._store.call)  # it may have been found out before we talk
        if self._page is not None:
            await self._page.ready(
                {
                    "call": str(self.public_id),
                    "agent": self._call.agent.name,
                    "providers": self._providers,
                }
            )
        return self._session

    def _machine_answered(self, may_speak: bool, greeted: bool) -> None:
        """The carrier says that no person picked up."""
        if self._session is not None:
            self._session.machine_answered(may_speak=may_speak, greeted=greeted)

    async def press(self, keys: str) -> None:
        """Have the carrier press keys: the order is stored when this returns.

        The agent's sound waits behind it, and must not for long.
        """
        try:
            async with asyncio.timeout(PRESS_SECONDS):
                await run_in_tenant(
                    self._call.tenant_id, keys_press, call_id=self._call.pk, keys=keys
                )
        except (TimeoutError, DatabaseError, InterfaceError):
            log.exception("call %s: keys could not be pressed", self.public_id)

    def page_heard(self, text: str, final: bool) -> None:
        """The page's recogniser understood this; nobody's business where it is not used."""
        if self._page_ears is not None:
            self._page_ears.push_transcript(text, final)

    async def hand_off(self, media: CallMedia) -> CallSession | None:
        """The other agent's session, with all that was said so far.

        The call is that agent's from now on. It is recorded where the agent who has it wants
        that; the longest duration counts from the answer, by the strictest agent so far. An
        agent that is not there, or one hand-off too many, leaves the caller with the agent of
        before. None where nobody was named.
        """
        outcome = self._session.outcome if self._session is not None else None
        if self._session is None or not isinstance(outcome, HandOff):
            return None
        self._hand_offs += 1
        slug = outcome.agent if self._hand_offs <= MOST_HAND_OFFS else ""
        before = self._call.agent.slug
        setup, recording, found = await run_in_tenant(
            self._call.tenant_id, _open_another, self._call, slug, media.sample_rate
        )
        since = self._now()
        if found:
            self._store.event(since, HANDED_OVER, {"from": before, "to": slug})
        else:
            self._store.event(since, HAND_OFF_FAILED, {"agent": outcome.agent})
        self._session = self._build(
            setup,
            media,
            LaterRecorder(
                self._recorder(recording, media.sample_rate),
                since,
                stream_since=self._stream_since,
            ),
            await self._voices(setup.opening, media.sample_rate),
            since=since,
            history=self._session.conversation.items,
        )
        return self._session

    def _build(
        self,
        setup: Setup,
        media: CallMedia,
        recorder: Recorder,
        voices: Sequence[Synthesiser],
        *,
        since: float = 0.0,
        history: Sequence[ConversationItem] = (),
    ) -> CallSession:
        """A session counts from its own beginning, which lies `since` ms into the call."""
        opening, profile = setup.opening, setup.opening.profile
        targets = profile.functions.transfer_targets
        self._transfers = {target.name: target.number for target in targets}
        setup.mind.observer = self._mind_tells
        return CallSession(
            self._ports(setup, media, recorder, voices, since),
            self._within_the_call(turn_options(profile), since),
            language=opening.language,
            greeting=opening.greeting,
            phrases=opening.phrases,
            history=history,
            ambience=ambience_for(profile.advanced, media.sample_rate),
            person=targets[0].name if targets else "",
            voicemail=_message_for(profile.advanced),
        )

    def _ports(
        self,
        setup: Setup,
        media: CallMedia,
        recorder: Recorder,
        voices: Sequence[Synthesiser],
        since: float,
    ) -> Ports:
        """Everything that the session listens, thinks and speaks with."""
        recognisers = self._ears(setup, media.sample_rate)
        self._providers = {
            "recogniser": recognisers[0].name,
            "voice": voices[0].name,
            "model": setup.mind.model_name,
        }
        return Ports(
            media=media,
            detector=detector_for(media.sample_rate),
            recognisers=recognisers,
            judge=HeuristicJudge(),
            brain=MindBrain(setup.mind),
            synthesisers=voices,
            store=LaterStore(self._store, since) if since else self._store,
            recorder=recorder,
            clock=LoopClock(),
            cleaner=cleaner_for(setup.opening.profile, media.sample_rate),
        )

    def _recorder(self, path: Path | None, sample_rate: int) -> Recorder:
        """The call's recording, or none for a part of it that is not to be recorded."""
        if path is None:
            return NoRecorder()
        if self._recording is None:
            self._recording = WavRecorder(path, sample_rate, resume=self._call.streams > 1)
        return self._recording

    def _within_the_call(self, options: TurnOptions, since: float) -> TurnOptions:
        """The options of a session that begins then, which may last as long as the call may."""
        self._until = min(self._until, options.max_duration or math.inf)
        rest = max(1.0, self._until - since)
        return replace(options, max_duration=rest if math.isfinite(rest) else 0)

    def _ears(self, setup: Setup, sample_rate: int) -> Sequence[Recogniser]:
        ears = recognisers_for(setup, sample_rate, page_recognises=self._page_recognises)
        self._page_ears = next((ear for ear in ears if isinstance(ear, BrowserRecogniser)), None)
        return ears

    async def _voices(self, opening: Opening, sample_rate: int) -> Sequence[Synthesiser]:
        """Who speaks, with the phrases that were prepared while the phone rang.

        A page does not ring: its fixed phrases are got while it is greeted.
        """
        voices = voices_for(opening, sample_rate)
        await recall(voices, opening.texts())
        if self._page is not None:
            work = prepare(voices, opening.later_texts())
            live.in_background(work, f"phrases of {self.public_id}")
        return voices

    def _mind_tells(self, name: str, data: Mapping[str, object]) -> None:
        self._store.event(self._now(), name, data)

    def _now(self) -> float:
        """Milliseconds into the call."""
        return (time.monotonic() - self._began) * 1000

    def close(self, reason: str, media: CallMedia) -> None:
        """Put the end into the store; what was wrong with the media comes before it."""
        self._reason = reason
        pickups.forget(self._call.pk)
        self._tell_of(media)
        outcome = self._session.outcome if self._session is not None else None
        transfer = outcome if isinstance(outcome, Transfer) else Transfer("")
        self._store.close(
            Closing(
                reason=reason,
                ended_at=timezone.now(),
                transfer_to=self._transfers.get(transfer.target, ""),
                briefing=transfer.briefing if transfer.warm else "",
                providers=self._providers,
                stream=self._call.streams or None,
            )
        )

    def _tell_of(self, media: CallMedia) -> None:
        at = media.positions.expected
        if media.fault is not None:
            data = {"fault": media.fault.fault.value, "detail": media.fault.detail}
            self._store.event(at, MEDIA_FAULT, data)
        figures = {
            "lost_ms": round(media.positions.lost_ms),
            "late": media.positions.late,
            "malformed": media.malformed,
        }
        if any(figures.values()):
            self._store.event(at, MEDIA_FIGURES, figures)

    async def let_go(self) -> None:
        """Wait for the recording and the rows: what the carrier asks next is answered from them.

        Not for long: the writer goes on without us.
        """
        if self._recording is not None:
            try:
                async with asyncio.timeout(FLUSH_SECONDS):
                    await self._recording.aclose()
            except TimeoutError:
                log.warning("call %s ended, its recording is not closed yet", self.public_id)
        if not await self._store.drained(FLUSH_SECONDS):
            log.warning("call %s ended, %d items wait", self.public_id, self._store.pending)
        if self._page is not None:
            await self._page.ended(self._reason)


def _message_for(advanced: AdvancedSettings) -> str:
    """What a machine that answers is to be told; empty: nothing."""
    return advanced.voicemail_message if advanced.voicemail == "leave_message" else ""


def _open_or_resume(call: Call, sample_rate: int) -> tuple[Setup, Path | None, Past]:
    """As `_open`; a call whose sound was lost goes on where it was, and is not greeted anew."""
    setup, recording = _open(call, sample_rate)
    past = past_of(call)
    if past.opening:
        setup = replace(setup, opening=replace(setup.opening, greeting=past.opening))
    return setup, recording, past


def _open(call: Call, sample_rate: int) -> tuple[Setup, Path | None]:
    """What the call's own version makes of it, and where it is recorded."""
    setup = load(
        call.taken_by(),
        channel_of(call),
        call.language,
        sample_rate,
        greeting=call.greeting,
        context=call.context,
    )
    if not setup.opening.profile.advanced.recording:
        return setup, None
    path = recording_path(call)
    Recording.objects.get_or_create(call=call, path=path, defaults={"sample_rate": sample_rate})
    return setup, recordings_folder() / path


def _open_another(call: Call, slug: str, sample_rate: int) -> tuple[Setup, Path | None, bool]:
    """The named agent, who has the call now, and True; or the one of before, and False."""
    version = _version_of(slug)
    if version is not None:
        call_hand_over(call=call, version=version)
    return *_open(call, sample_rate), version is not None


def _version_of(slug: str) -> AgentVersion | None:
    try:
        agent = agent_by_slug(slug)
    except Agent.DoesNotExist:
        return None
    return published_version(agent) if agent.is_active else None
