"""Sees one call through that its carrier hears and speaks: text goes to and fro."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from calls.line.adapters import MindBrain
from calls.line.setup import Setup
from calls.line.stored import StoredTalk
from calls.models import Call
from calls.providers.carriers.stream import CallText
from calls.voice import HeuristicJudge, LoopClock
from calls.voice.ports import ConversationItem
from calls.voice.text import TextPorts, TextSession
from calls.voice.text.session import CARRIER

TELEPHONE_RATE = 8000


class RelayedCall(StoredTalk[CallText]):
    """An admitted call in text. It begins in `dialect`, as its carrier was told."""

    records = False

    def __init__(self, call: Call, dialect: str) -> None:
        super().__init__(call)
        self._dialect = dialect

    def _sample_rate(self, line: CallText) -> int:  # noqa: ARG002
        return TELEPHONE_RATE

    async def _build(
        self,
        setup: Setup,
        line: CallText,
        recording: Path | None,  # noqa: ARG002
        *,
        since: float,
        history: Sequence[ConversationItem],
    ) -> TextSession:
        """An agent who goes on in another language has the carrier change to it."""
        self._providers = {
            "recogniser": CARRIER,
            "voice": CARRIER,
            "model": setup.mind.model_name,
        }
        before = self._dialect
        self._dialect, _voice = setup.opening.profile.voice.in_language(setup.opening.language)
        return TextSession(
            TextPorts(
                stream=line,
                brain=MindBrain(setup.mind),
                judge=HeuristicJudge(),
                store=self._store_from(since),
                clock=LoopClock(),
            ),
            self._options(setup, since),
            switch_to=self._dialect if self._dialect != before else "",
            **self._manner(setup, history),
        )
