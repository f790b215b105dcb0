"""Scripted calls: the real loop, in virtual time, among scripted peers.

    script = Script(greeting=None)
    script.caller_says("book a tour", at=0.5, until=2.5, transcript_delay=0.2)
    script.agent_replies("Where to?", first_token=0.1, last_token=0.3, first_audio=0.2)
    timeline = run_script(script, TurnOptions(endpointing_min=500))

Times of the script and of the timeline are seconds, `TurnOptions` and metrics milliseconds.
Adaptation to the caller and to noise is off unless the options name it. A call that cannot go on
raises `Deadlock`; it never hangs.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

from calls.voice.clock import LoopClock
from calls.voice.events import Event
from calls.voice.options import TurnOptions
from calls.voice.phrases import Phrases
from calls.voice.playout import AmbienceSource
from calls.voice.ports import Action, Cleaner, ConversationItem, Ports, Turn
from calls.voice.session import CallSession
from calls.voice.testing.peers import (
    ScriptedBrain,
    ScriptedDetector,
    ScriptedJudge,
    ScriptedLine,
    ScriptedRecogniser,
    ScriptedRecorder,
    ScriptedStore,
    ScriptedVoice,
    Sound,
    ToolRun,
)
from calls.voice.testing.script import NEVER, Says, Script
from calls.voice.testing.virtual_time import Deadlock, VirtualLoop, run_virtually

__all__ = [
    "NEVER",
    "Deadlock",
    "Script",
    "Sound",
    "Timeline",
    "ToolRun",
    "Turn",
    "VirtualLoop",
    "run_script",
    "run_virtually",
]


@dataclass(frozen=True)
class Timeline:
    """What happened, in seconds."""

    states: list[tuple[float, str]]
    caller_states: list[tuple[float, str]]
    turns: list[Turn]
    tools: list[ToolRun]
    events: list[tuple[float, str, Mapping[str, object]]]
    playout: list[float]
    sent: list[tuple[object, ...]]
    end_reason: str
    asked: list[float]  # when the brain was asked for a reply
    conversation: tuple[ConversationItem, ...]  # as the brain would be told it next
    outcome: Action | None
    recorder: ScriptedRecorder
    ended: float


def run_script(
    script: Script,
    options: TurnOptions | None = None,
    *,
    phrases: Phrases | None = None,
    ambience: AmbienceSource | None = None,
    person: str = "",
    cleaner: Cleaner | None = None,
    voicemail: str = "",
) -> Timeline:
    """Run the call to its end. Raises `Deadlock` where a real call would hang."""
    chosen = options or TurnOptions()
    chosen = replace(
        chosen,
        noise_adaptation=chosen.noise_adaptation and chosen.chose("noise_adaptation"),
        endpointing_adaptive=chosen.endpointing_adaptive and chosen.chose("endpointing_adaptive"),
    )
    return run_virtually(_run(script, chosen, phrases, ambience, person, cleaner, voicemail))


async def _run(
    script: Script,
    options: TurnOptions,
    phrases: Phrases | None,
    ambience: AmbienceSource | None,
    person: str,
    cleaner: Cleaner | None,
    voicemail: str,
) -> Timeline:
    line = ScriptedLine(script, has_ambience=ambience is not None)
    store, recorder = ScriptedStore(), ScriptedRecorder()
    brain = ScriptedBrain(script)
    answered: list[Says] = []
    ports = Ports(
        line,
        ScriptedDetector(),
        [ScriptedRecogniser(script, number, answered) for number in range(script.recognisers)],
        ScriptedJudge(script),
        brain,
        [ScriptedVoice(script, brain, number) for number in range(script.voices)],
        store,
        recorder,
        LoopClock(),
        cleaner,
    )
    session = CallSession(
        ports,
        options,
        language=script.language,
        greeting=script.greeting,
        phrases=phrases,
        ambience=ambience,
        person=person,
        voicemail=voicemail,
    )
    _tell_from_outside(script, session)
    line.begin()
    end_reason = await session.run()
    return _timeline(end_reason, session, line, store, brain, recorder)


def _tell_from_outside(script: Script, session: CallSession) -> None:
    loop = asyncio.get_running_loop()
    for at, reason in script.ended_from_outside:
        loop.call_at(at, session.end, reason)
    for at, known in script.machine_told:
        loop.call_at(at, partial(session.machine_answered, **known))


def _timeline(
    end_reason: str,
    session: CallSession,
    line: ScriptedLine,
    store: ScriptedStore,
    brain: ScriptedBrain,
    recorder: ScriptedRecorder,
) -> Timeline:
    events = sorted(store.events, key=lambda event: event[0])
    turns = sorted((_in_seconds(turn) for turn in store.turns), key=lambda turn: turn.started)
    return Timeline(
        states=_states(events, Event.AGENT_STATE),
        caller_states=_states(events, Event.CALLER_STATE),
        turns=turns,
        tools=brain.tools,
        events=events,
        playout=[_heard(line.heard, turn) for turn in turns if turn.role == "agent"],
        sent=line.sent,
        end_reason=end_reason,
        asked=brain.asked,
        conversation=session.conversation.items,
        outcome=session.outcome,
        recorder=recorder,
        ended=asyncio.get_running_loop().time(),
    )


def _states(
    events: list[tuple[float, str, Mapping[str, object]]], name: Event
) -> list[tuple[float, str]]:
    return [(round(at, 6), str(data["state"])) for at, event, data in events if event == name]


def _in_seconds(turn: Turn) -> Turn:
    return replace(turn, started=round(turn.started / 1000, 6), ended=round(turn.ended / 1000, 6))


def _heard(stretches: list[list[float]], turn: Turn) -> float:
    """Seconds of the agent's voice that fell into a turn; stretches are in order."""
    first = bisect_right(stretches, turn.started, key=lambda stretch: stretch[1])
    seconds = 0.0
    for since, until in islice(stretches, first, None):
        if since >= turn.ended:
            break
        seconds += max(0.0, min(until, turn.ended) - max(since, turn.started))
    return round(seconds, 6)
