"""A call with a row, from its first frame to its last: what is the same in sound and in text.

Everything that touches the database happens before the first frame, or through the store's
writer, or in `run_in_tenant`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from agents.models import Agent, AgentVersion
from agents.profiles import AdvancedSettings
from agents.selectors import agent_by_slug, published_version
from calls.line.adapters import LaterStore
from calls.line.live import live
from calls.line.pickups import pickups
from calls.line.resuming import Past, past_of
from calls.line.rows import HANDED_OVER, CallRef, Closing
from calls.line.setup import Setup, channel_of, load, turn_options
from calls.line.store import CallStore, Watcher
from calls.models import Call, Direction, Recording
from calls.providers.carriers.stream import CallLine
from calls.recordings import recording_path, recordings_folder
from calls.services.calls import call_hand_over, return_told
from calls.services.keys import keys_press
from calls.voice import Event, HandOff, Transfer, TurnOptions
from calls.voice.ports import ConversationItem, Store
from calls.voice.talk import Talk
from tenants.db import run_in_tenant

log = logging.getLogger(__name__)

# For the page alone: partials pass, and a finished turn is a row of its own.
TRANSIENT = frozenset({Event.TRANSCRIPT_PARTIAL.value, Event.TURN_FINISHED.value})
MEDIA_FIGURES, MEDIA_FAULT = "media_figures", "media_fault"
HAND_OFF_FAILED = "hand_off_failed"
FLUSH_SECONDS = 2.0
PRESS_SECONDS = 2.0
MOST_HAND_OFFS = 8  # two agents that pass a caller to and fro must not do so for ever

AnyLine = TypeVar("AnyLine", bound=CallLine)


class StoredTalk(ABC, Generic[AnyLine]):
    """An admitted call: implements `AdmittedCall`. `watch` is told of all that happens in it."""

    records: ClassVar[bool]  # whether there is sound that could be

    def __init__(self, call: Call, *, watch: Watcher | None = None) -> None:
        self.public_id: uuid.UUID = call.public_id
        self._call = call
        self._providers: dict[str, str] = {}
        self._transfers: Mapping[str, str] = {}
        self._session: Talk[Any] | None = None
        self._stream_since = 0.0  # ms into the call at which its present stream began
        self._until = math.inf  # ms into the call: its longest duration
        self._reason = ""
        self._began = time.monotonic()
        self._hand_offs = 0
        self._store = CallStore(
            CallRef(call.tenant_id, call.pk, call.public_id),
            live.writer,
            watch=watch,
            transient=TRANSIENT,
        )

    @abstractmethod
    def _sample_rate(self, line: AnyLine) -> int:
        """Of the sound that we have, in Hz."""

    @abstractmethod
    async def _build(
        self,
        setup: Setup,
        line: AnyLine,
        recording: Path | None,
        *,
        since: float,
        history: Sequence[ConversationItem],
    ) -> Talk[Any]:
        """A session, which counts from its own beginning: that lies `since` ms into the call."""

    async def begin(self, line: AnyLine) -> Talk[Any]:
        """Load and build everything."""
        setup, recording, past = await run_in_tenant(
            self._call.tenant_id,
            _open_or_resume,
            self._call,
            self._sample_rate(line),
            records=self.records,
        )
        self._began = time.monotonic() - past.since / 1000
        self._stream_since = past.since
        self._store.go_on(events=past.next_event, turns=past.next_turn)
        self._session = await self._build(
            setup, line, recording, since=past.since, history=past.said
        )
        if self._call.direction == Direction.OUTBOUND and not past.since:
            pickups.watch(self._store.call, self._machine_answered)
            await pickups.look(self._store.call)  # it may have been found out before we talk
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

    async def hand_off(self, line: AnyLine) -> Talk[Any] | None:
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
            self._call.tenant_id,
            _open_another,
            self._call,
            slug,
            self._sample_rate(line),
            records=self.records,
        )
        since = self._now()
        if found:
            self._store.event(since, HANDED_OVER, {"from": before, "to": slug})
        else:
            self._store.event(since, HAND_OFF_FAILED, {"agent": outcome.agent})
        history = self._session.conversation.items
        self._session = await self._build(setup, line, recording, since=since, history=history)
        return self._session

    def _manner(self, setup: Setup, history: Sequence[ConversationItem]) -> Mapping[str, Any]:
        """How any session of this agent talks; its mind's news go into the store."""
        opening, functions = setup.opening, setup.opening.profile.functions
        targets = functions.transfer_targets
        self._transfers = {target.name: target.number for target in targets}
        setup.mind.observer = self._mind_tells
        return {
            "language": opening.language,
            "greeting": opening.greeting,
            "phrases": opening.phrases,
            "history": history,
            "person": targets[0].name if targets else "",
            "voicemail": _message_for(opening.profile.advanced),
        }

    def _options(self, setup: Setup, since: float) -> TurnOptions:
        """Those of a session that begins then, which may last as long as the call may."""
        options = turn_options(setup.opening.profile)
        self._until = min(self._until, options.max_duration or math.inf)
        rest = max(1.0, self._until - since)
        return replace(options, max_duration=rest if math.isfinite(rest) else 0)

    def _store_from(self, since: float) -> Store:
        return LaterStore(self._store, since) if since else self._store

    def _mind_tells(self, name: str, data: Mapping[str, object]) -> None:
        self._store.event(self._now(), name, data)

    def _now(self) -> float:
        """Milliseconds into the call."""
        return (time.monotonic() - self._began) * 1000

    def close(self, reason: str, line: AnyLine) -> None:
        """Put the end into the store; what was wrong with the stream comes before it."""
        self._reason = reason
        pickups.forget(self._call.pk)
        self._tell_of(line)
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

    def _tell_of(self, line: AnyLine) -> None:
        at = line.positions.expected
        if line.fault is not None:
            data = {"fault": line.fault.fault.value, "detail": line.fault.detail}
            self._store.event(at, MEDIA_FAULT, data)
        figures = {
            "lost_ms": round(line.positions.lost_ms),
            "late": line.positions.late,
            "malformed": line.malformed,
        }
        if any(figures.values()):
            self._store.event(at, MEDIA_FIGURES, figures)

    async def let_go(self) -> None:
        """Wait for the rows: what the carrier asks next is answered from them.

        Not for long: the writer goes on without us.
        """
        if not await self._store.drained(FLUSH_SECONDS):
            log.warning("call %s ended, %d items wait", self.public_id, self._store.pending)


def _message_for(advanced: AdvancedSettings) -> str:
    """What a machine that answers is to be told; empty: nothing."""
    return advanced.voicemail_message if advanced.voicemail == "leave_message" else ""


def _open_or_resume(
    call: Call, sample_rate: int, *, records: bool
) -> tuple[Setup, Path | None, Past]:
    """As `_open`; a call whose sound was lost goes on where it was, and is not greeted anew."""
    setup, recording = _open(call, sample_rate, records=records)
    past = past_of(call)
    if past.opening:
        setup = replace(setup, opening=replace(setup.opening, greeting=past.opening))
        return_told(call=call)
    return setup, recording, past


def _open(call: Call, sample_rate: int, *, records: bool) -> tuple[Setup, Path | None]:
    """What the call's own version makes of it, and where it is recorded."""
    setup = load(
        call.taken_by(),
        channel_of(call),
        call.language,
        sample_rate,
        greeting=call.greeting,
        context=call.context,
    )
    if not (records and setup.opening.profile.advanced.recording):
        return setup, None
    path = recording_path(call)
    Recording.objects.get_or_create(call=call, path=path, defaults={"sample_rate": sample_rate})
    return setup, recordings_folder() / path


def _open_another(
    call: Call, slug: str, sample_rate: int, *, records: bool
) -> tuple[Setup, Path | None, bool]:
    """The named agent, who has the call now, and True; or the one of before, and False."""
    version = _version_of(slug)
    if version is not None:
        call_hand_over(call=call, version=version)
    return *_open(call, sample_rate, records=records), version is not None


def _version_of(slug: str) -> AgentVersion | None:
    try:
        agent = agent_by_slug(slug)
    except Agent.DoesNotExist:
        return None
    return published_version(agent) if agent.is_active else None
