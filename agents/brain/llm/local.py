"""The embedded brain as a model: answers without any key, network or language model.

It keeps no state of its own beside a memory of what it answered to which caller turns. A reply
that was discarded (prepared too early, or never heard) therefore leaves nothing behind.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from datetime import date

from agents.brain.conversation import caller_turns, pressed, spoken
from agents.brain.embedded import errands
from agents.brain.embedded.dialogue import Answer, Doing, Situation, State, not_then, respond
from agents.brain.embedded.phrasebook import phrasebook_for
from agents.brain.events import AgentSaid, ConversationItem, ToolRan
from agents.brain.functions import CALL_BACK, HANG_UP, MAX_BRIEFING, TRANSFER
from agents.brain.knowledge import KnowledgePort
from agents.brain.llm.base import ModelEvent, ModelRequest, Text, ToolCall, Usage
from agents.brain.notes import NOTE_DETAILS

NAME = "embedded"
MAX_REMEMBERED = 200
_BRIEFED_TURNS = 3  # of the caller's, told to the person who takes over
_SENTENCE = re.compile(r"[^.!?]+[.!?]*\s*")

Key = tuple[tuple[str, str], ...]


class LocalModel:
    """One call's embedded brain.

    `name` is what it calls itself, `topics` what it says it knows about. `today` is the day
    in the tenant's time zone.
    """

    name = NAME

    def __init__(
        self,
        knowledge: KnowledgePort,
        *,
        name: str,
        today: date,
        topics: tuple[str, ...] = (),
    ) -> None:
        self._knowledge = knowledge
        self._own_name = name
        self._today = today
        self._topics = topics
        self._answers: OrderedDict[Key, Answer] = OrderedDict()

    async def open(self) -> None:
        """Nothing to connect to."""

    async def aclose(self) -> None:
        """Nothing is open."""

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Answer the last turn of the caller, sentence by sentence."""
        key = _key(request.items)
        ran = _ran_last(request.items)
        if ran is not None and key in self._answers:
            for sentence in self._after(ran, key, request):
                yield Text(sentence)
            return
        answer = await self._answer(key, request)
        for sentence in _SENTENCE.findall(answer.text):
            yield Text(sentence)
        call = self._call(answer.doing, request, len(key))
        if call is not None:
            yield call
        elif answer.doing is not None and answer.doing.name == "note":
            yield Text(self._closing(answer.doing, request))
        yield Usage(NAME, NAME)

    async def _answer(self, key: Key, request: ModelRequest) -> Answer:
        said, keys = key[-1] if key else ("", "")
        before = self._answers.get(key[:-1])
        state = before.state if before is not None else State(said=_last_said(request.items))
        answer = await respond(state, said, keys, self._situation(request))
        self._answers[key] = answer
        if len(self._answers) > MAX_REMEMBERED:
            self._answers.popitem(last=False)
        return answer

    def _situation(self, request: ModelRequest) -> Situation:
        tools = {spec.name: spec.parameters for spec in request.tools}
        return Situation(
            book=phrasebook_for(request.language),
            knowledge=self._knowledge,
            name=self._own_name,
            topics=self._topics,
            targets=_targets(tools.get(TRANSFER)),
            can_hang_up=HANG_UP in tools,
            today=self._today,
            errands=frozenset(name for name in errands.SLOTS if name in tools),
        )

    def _call(self, doing: Doing | None, request: ModelRequest, turn: int) -> ToolCall | None:
        """The function to call for what the dialogue wants done, if the version has it."""
        if doing is None:
            return None
        call_id = f"embedded-{turn}-{doing.name}"
        match doing.name:
            case "hang_up":
                return ToolCall(call_id, HANG_UP, {})
            case "transfer":
                return ToolCall(call_id, TRANSFER, _transfer(doing.target, request))
        if doing.details is None:
            return None
        offered = {spec.name for spec in request.tools}
        if doing.details.intent in errands.SLOTS and doing.details.intent in offered:
            kept = errands.arguments_of(doing.details)
            if kept is not None:
                return ToolCall(call_id, doing.details.intent, kept)
        if NOTE_DETAILS not in offered:
            return None
        details = {slot: value for slot, value in doing.details.values.items() if value}
        return ToolCall(
            call_id, NOTE_DETAILS, {"subject": doing.details.intent, "details": details}
        )

    def _after(self, ran: ToolRan, key: Key, request: ModelRequest) -> list[str]:
        """What to say when the tool has run."""
        answer = self._answers[key]
        doing = answer.doing
        if ran.name not in (NOTE_DETAILS, *errands.SLOTS) or doing is None:
            return []
        if ran.error and ran.name == CALL_BACK and doing.details is not None:
            again = not_then(answer, doing.details, self._situation(request))
            self._answers[key] = again
            return _SENTENCE.findall(again.text)
        if ran.error:
            return [phrasebook_for(request.language).not_noted]
        return _SENTENCE.findall(self._closing(doing, request))

    def _closing(self, doing: Doing, request: ModelRequest) -> str:
        book = phrasebook_for(request.language)
        own = doing.details.closing if doing.details is not None else ""
        return f"{own or book.noted} {book.more}"


def _key(items: tuple[ConversationItem, ...]) -> Key:
    return tuple((spoken(turn), pressed(turn)) for turn in caller_turns(items))


def _ran_last(items: tuple[ConversationItem, ...]) -> ToolRan | None:
    """The tool that ran for this very reply: it comes after everything the caller said."""
    last = items[-1] if items else None
    return last if isinstance(last, ToolRan) else None


def _last_said(items: tuple[ConversationItem, ...]) -> str:
    return next((item.text for item in reversed(items) if isinstance(item, AgentSaid)), "")


def _transfer(target: str, request: ModelRequest) -> dict[str, object]:
    """The transfer's arguments, with the caller's last words for who is to be briefed."""
    spec = next(spec for spec in request.tools if spec.name == TRANSFER)
    properties = spec.parameters.get("properties")
    if not isinstance(properties, Mapping) or "briefing" not in properties:
        return {"target": target}
    turns = [spoken(turn) for turn in caller_turns(request.items)]
    said = "; ".join(turn for turn in turns[-_BRIEFED_TURNS:] if turn)
    briefing = phrasebook_for(request.language).briefing.format(said=said or "...")
    return {"target": target, "briefing": briefing[:MAX_BRIEFING]}


def _targets(schema: Mapping[str, object] | None) -> tuple[str, ...]:
    properties = schema.get("properties") if schema is not None else None
    target = properties.get("target") if isinstance(properties, Mapping) else None
    names = target.get("enum") if isinstance(target, Mapping) else None
    return tuple(str(name) for name in names) if isinstance(names, list | tuple) else ()
