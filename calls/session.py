"""Sees one call in sound through, from its first frame to its last row.

What can be done while the phone still rings is done by then (`calls.line.ringing`): the greeting
is in the phrase cache when the caller listens, in this process or in the folder that processes
share.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calls.line.adapters import LaterRecorder, MindBrain, NoRecorder
from calls.line.feed import PageFeed
from calls.line.live import live
from calls.line.setup import (
    Opening,
    Setup,
    ambience_for,
    cleaner_for,
    detector_for,
    recognisers_for,
    voices_for,
)
from calls.line.stored import FLUSH_SECONDS, StoredTalk
from calls.models import Call
from calls.providers.carriers.stream import CallMedia
from calls.providers.stt.browser import BrowserRecogniser
from calls.providers.tts.cache import prepare, recall
from calls.voice import CallSession, HeuristicJudge, LoopClock, Ports
from calls.voice.ports import ConversationItem, Recogniser, Recorder, Synthesiser
from calls.voice.recording import WavRecorder
from calls.voice.talk import Talk

log = logging.getLogger(__name__)


class StoredCall(StoredTalk[CallMedia]):
    """An admitted call in sound.

    `page` shows it while it runs; `page_recognises` says whether the page has a recogniser of
    its own, which is used where the profile wants it and told of by `page_heard`.
    """

    records = True

    def __init__(
        self,
        call: Call,
        *,
        page: PageFeed | None = None,
        page_recognises: bool = False,
    ) -> None:
        super().__init__(call, watch=page.take if page is not None else None)
        self._page, self._page_recognises = page, page_recognises
        self._page_ears: BrowserRecogniser | None = None
        self._recording: WavRecorder | None = None  # once a part of the call is recorded

    def _sample_rate(self, line: CallMedia) -> int:
        return line.sample_rate

    async def begin(self, line: CallMedia) -> Talk[Any]:
        """Load and build everything; the page is told who listens, thinks and speaks."""
        session = await super().begin(line)
        if self._page is not None:
            await self._page.ready(
                {
                    "call": str(self.public_id),
                    "agent": self._call.agent.name,
                    "providers": self._providers,
                }
            )
        return session

    def page_heard(self, text: str, final: bool) -> None:
        """The page's recogniser understood this; nobody's business where it is not used."""
        if self._page_ears is not None:
            self._page_ears.push_transcript(text, final)

    async def _build(
        self,
        setup: Setup,
        line: CallMedia,
        recording: Path | None,
        *,
        since: float,
        history: Sequence[ConversationItem],
    ) -> CallSession:
        voices = await self._voices(setup.opening, line.sample_rate)
        recorder = self._recorder(recording, line.sample_rate)
        if since:
            recorder = LaterRecorder(recorder, since, stream_since=self._stream_since)
        return CallSession(
            self._ports(setup, line, recorder, voices, since),
            self._options(setup, since),
            ambience=ambience_for(setup.opening.profile.advanced, line.sample_rate),
            **self._manner(setup, history),
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
            store=self._store_from(since),
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

    async def let_go(self) -> None:
        """Wait for the recording and the rows, for a limited time."""
        if self._recording is not None:
            try:
                async with asyncio.timeout(FLUSH_SECONDS):
                    await self._recording.aclose()
            except TimeoutError:
                log.warning("call %s ended, its recording is not closed yet", self.public_id)
        await super().let_go()
        if self._page is not None:
            await self._page.ended(self._reason)
