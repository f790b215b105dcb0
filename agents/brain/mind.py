"""The mind: turns a conversation into a reply, running tools on the way.

It looks up what the agent knows about the caller's last words, asks the model, streams its
text, and, once the voice loop has committed the turn, runs the tools it called and gives it
their results, until the model only speaks.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime

from agents.brain.conversation import last_caller_text, tools_ran, window
from agents.brain.events import (
    Action,
    AgentSaid,
    ConversationItem,
    HandOff,
    HangUp,
    ReplyEvent,
    TextDelta,
    ToolFinished,
    ToolRan,
    ToolStarted,
    Transfer,
)
from agents.brain.functions import Function, Functions, functions_of
from agents.brain.knowledge import UNSURE, Found, KnowledgePort, NoKnowledge, RememberedSearches
from agents.brain.llm.base import LanguageModel, ModelRequest, Text, ToolCall, Usage
from agents.brain.phrases import MindPhrases, phrases_for
from agents.brain.prompt import knowledge_context, system_prompt
from agents.brain.tools import BadArguments, Tool, ToolFailed, check_arguments

MAX_ROUNDS = 5  # model rounds in one reply; each runs the tools of the one before
KNOWLEDGE_TIMEOUT = 1.0  # seconds; a reply without knowledge beats silence
KNOWLEDGE_ENTRIES = 5

Observer = Callable[[str, Mapping[str, object]], None]


def _nobody(name: str, data: Mapping[str, object]) -> None:
    """The observer of a mind that nobody watches."""


@dataclass(frozen=True, slots=True)
class Persona:
    """Who the mind is on this call. `now` is the call's start in the tenant's time zone.

    `context` is what is known about a call that it placed: facts by name.
    """

    prompt: str
    language: str
    now: datetime
    history_window: int = 40
    functions: Functions = field(default_factory=Functions)
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Round:
    """What one round of the model brought."""

    text: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)


@dataclass(slots=True)
class _Reply:
    """One reply in progress."""

    spoke: bool = False
    ended: bool = False
    bad_calls: int = 0
    results: dict[str, ToolFinished] = field(default_factory=dict)  # by name and arguments


class Mind:
    """One call's mind. Replies come one at a time; closing one cancels it.

    `observer` is told, in memory and at once: `model_used`, `knowledge_found`,
    `knowledge_failed`, `tool_refused`.
    """

    def __init__(
        self,
        model: LanguageModel,
        persona: Persona,
        *,
        knowledge: KnowledgePort | None = None,
        tools: Sequence[Tool] = (),
        observer: Observer = _nobody,
    ) -> None:
        self._model = model
        self._persona = persona
        self._knowledge = RememberedSearches(knowledge or NoKnowledge())
        self._tools = {tool.spec.name: tool for tool in tools}
        self._functions = functions_of(persona.functions, persona.now)
        self._phrases: MindPhrases = phrases_for(persona.language)
        self._system = system_prompt(persona.prompt, persona.language, persona.now, persona.context)
        self.observer = observer
        # tools with an effect whose reply was closed before they ended
        self._late: dict[str, tuple[ToolCall, asyncio.Task[ToolFinished]]] = {}

    @property
    def model_name(self) -> str:
        """Who thinks, as shown to people."""
        return self._model.name

    async def open(self) -> None:
        """Connect before the first reply is asked for."""
        await self._model.open()

    async def aclose(self) -> None:
        """Let tools with an effect end, and close the connections."""
        tasks = [task for _, task in self._late.values()]
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._model.aclose()

    async def reply(
        self, items: Sequence[ConversationItem], committed: asyncio.Event
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Stream the reply to the last items. Nothing has an effect before `committed` is set."""
        history = list(items)
        async for late in self._late_results(history, committed):
            yield late
        request = await self._request(history)
        reply = _Reply()
        for _ in range(MAX_ROUNDS):
            this = _Round()
            async with aclosing(self._think(request, this, reply)) as deltas:
                async for delta in deltas:
                    yield delta
            if not this.calls:
                return
            await committed.wait()
            ran: list[ToolRan] = []
            async with aclosing(self._act(this.calls, reply, ran)) as events:
                async for event in events:
                    yield event
            if reply.ended:
                return
            said = (AgentSaid("".join(this.text)),) if this.text else ()
            request = replace(request, items=(*request.items, *said, *ran))
        yield TextDelta(self._phrases.trouble)

    # --- asking the model -----------------------------------------------------------------

    async def _request(self, history: Sequence[ConversationItem]) -> ModelRequest:
        found = await self._look_up(last_caller_text(history))
        return ModelRequest(
            items=window(history, self._persona.history_window),
            language=self._persona.language,
            system=self._system,
            context=knowledge_context(found),
            tools=(
                *(tool.spec for tool in self._tools.values()),
                *(function.spec for function in self._functions.values()),
            ),
        )

    async def _look_up(self, words: str) -> list[Found]:
        if not words:
            return []
        try:
            async with asyncio.timeout(KNOWLEDGE_TIMEOUT):
                found = await self._knowledge.search(words, self._persona.language)
        except Exception as error:
            self.observer("knowledge_failed", {"error": f"{type(error).__name__}: {error}"})
            return []
        good = [entry for entry in found if entry.score >= UNSURE / 2][:KNOWLEDGE_ENTRIES]
        self.observer(
            "knowledge_found", {"entries": [{"id": f.entry_id, "score": f.score} for f in good]}
        )
        return good

    async def _think(
        self, request: ModelRequest, this: _Round, reply: _Reply
    ) -> AsyncGenerator[ReplyEvent, None]:
        async with aclosing(self._model.stream(request)) as events:
            async for event in events:
                match event:
                    case Text(text) if text:
                        # two rounds must not run together into one word
                        joint = " " if reply.spoke and not this.text else ""
                        this.text.append(text)
                        reply.spoke = True
                        yield TextDelta(joint + text)
                    case ToolCall():
                        this.calls.append(event)
                    case Usage():
                        self.observer("model_used", _usage(event))

    # --- acting ---------------------------------------------------------------------------

    async def _act(
        self, calls: Sequence[ToolCall], reply: _Reply, ran: list[ToolRan]
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Run a round's tools, then its actions. `ran` gets what the model is to be told."""
        tools = [call for call in calls if call.name not in self._functions]
        async with aclosing(self._run_tools(tools, reply, ran)) as events:
            async for event in events:
                yield event
        for call in calls:
            function = self._functions.get(call.name)
            if function is None or reply.ended:
                continue
            for outcome in self._do(function, call, reply, ran):
                yield outcome
        if reply.bad_calls > 1 and not reply.ended:
            reply.ended = True
            yield TextDelta(self._phrases.trouble)

    def _do(
        self, function: Function, call: ToolCall, reply: _Reply, ran: list[ToolRan]
    ) -> list[ReplyEvent]:
        """Turn a function call into its action; say something first if nothing was said."""
        try:
            action = function.action(call)
        except BadArguments as error:
            self._refuse(call, str(error), reply, ran)
            return []
        if function.is_note:
            return self._keep(action, call, reply, ran)
        if not function.ends_reply:
            ran.append(ToolRan(call.call_id, call.name, dict(call.arguments or {}), {"done": True}))
            return [action]
        reply.ended = True
        if reply.spoke:
            return [action]
        return [TextDelta(self._farewell(action)), action]

    def _keep(
        self, note: Action, call: ToolCall, reply: _Reply, ran: list[ToolRan]
    ) -> list[ReplyEvent]:
        """Something for people to act on: done at once, once, and known in every later turn."""
        before = reply.results.get(_identity(call))
        if before is not None:
            ran.append(_as_ran(call, before))
            return []
        done = ToolFinished(call.call_id, call.name, {"done": True})
        reply.results[_identity(call)] = done
        ran.append(_as_ran(call, done))
        return [ToolStarted(call.call_id, call.name, dict(call.arguments or {})), note, done]

    def _farewell(self, action: object) -> str:
        match action:
            case Transfer(target):
                return self._phrases.transfer.format(target=target)
            case HandOff():
                return self._phrases.hand_off
            case HangUp():
                return self._phrases.goodbye
        raise TypeError(f"{action!r} does not end a reply")

    async def _run_tools(
        self, calls: Sequence[ToolCall], reply: _Reply, ran: list[ToolRan]
    ) -> AsyncGenerator[ReplyEvent, None]:
        tasks: dict[asyncio.Task[ToolFinished], ToolCall] = {}
        in_order = asyncio.Lock()  # tools with an effect run one after the other
        try:
            for call in calls:
                tool = self._accept(call, reply, ran)
                if tool is None:
                    continue
                arguments = dict(call.arguments or {})
                yield ToolStarted(call.call_id, call.name, arguments, tool.filler)
                task = asyncio.create_task(_run(tool, call, arguments, in_order))
                tasks[task] = call
            for finished in asyncio.as_completed(list(tasks)):
                result = await finished
                self._remember(result, tasks, reply, ran)
                yield result
        finally:
            self._let_go(tasks)

    def _accept(self, call: ToolCall, reply: _Reply, ran: list[ToolRan]) -> Tool | None:
        """The tool to run for a call, or None when it is refused or was already run."""
        tool = self._tools.get(call.name)
        if tool is None:
            known = ", ".join((*self._tools, *self._functions)) or "none"
            self._refuse(call, f"there is no tool {call.name!r}; there are: {known}", reply, ran)
            return None
        try:
            check_arguments(tool.spec, call.arguments, call.raw)
        except BadArguments as error:
            self._refuse(call, str(error), reply, ran)
            return None
        before = reply.results.get(_identity(call))
        if before is not None:
            ran.append(_as_ran(call, before))
            return None
        return tool

    def _refuse(self, call: ToolCall, reason: str, reply: _Reply, ran: list[ToolRan]) -> None:
        reply.bad_calls += 1
        self.observer("tool_refused", {"name": call.name, "reason": reason})
        ran.append(ToolRan(call.call_id, call.name, dict(call.arguments or {}), None, reason))

    def _remember(
        self,
        result: ToolFinished,
        tasks: dict[asyncio.Task[ToolFinished], ToolCall],
        reply: _Reply,
        ran: list[ToolRan],
    ) -> None:
        """Keep a result for the next round; from here on the loop has it."""
        task, call = next((t, c) for t, c in tasks.items() if c.call_id == result.call_id)
        del tasks[task]
        reply.results[_identity(call)] = result
        ran.append(_as_ran(call, result))

    def _let_go(self, tasks: Mapping[asyncio.Task[ToolFinished], ToolCall]) -> None:
        """The reply was closed: stop what only reads; what has an effect runs to its end."""
        for task, call in tasks.items():
            if self._tools[call.name].has_effect:
                self._late[call.call_id] = (call, task)
            else:
                task.cancel()

    async def _late_results(
        self, history: list[ConversationItem], committed: asyncio.Event
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Report tools that ran on after their reply was interrupted, so that none is lost."""
        known = tools_ran(history)
        for call_id, (call, task) in list(self._late.items()):
            if call_id not in known:
                await committed.wait()
                result = await task
                history.append(_as_ran(call, result))
                self._late.pop(call_id, None)
                yield result
            self._late.pop(call_id, None)


async def _run(
    tool: Tool, call: ToolCall, arguments: Mapping[str, object], in_order: asyncio.Lock
) -> ToolFinished:
    try:
        async with asyncio.timeout(tool.timeout):
            if not tool.has_effect:
                return ToolFinished(call.call_id, call.name, await tool.run(arguments))
            async with in_order:
                return ToolFinished(call.call_id, call.name, await tool.run(arguments))
    except TimeoutError:
        error = f"{call.name} took longer than {tool.timeout:g} s"
    except ToolFailed as failure:
        error = str(failure)
    except Exception as failure:  # a tool's bug must not end the call
        error = f"{call.name} failed: {type(failure).__name__}: {failure}"
    return ToolFinished(call.call_id, call.name, None, error)


def _identity(call: ToolCall) -> str:
    return f"{call.name} {json.dumps(dict(call.arguments or {}), sort_keys=True, default=str)}"


def _as_ran(call: ToolCall, result: ToolFinished) -> ToolRan:
    return ToolRan(call.call_id, call.name, dict(call.arguments or {}), result.result, result.error)


def _usage(usage: Usage) -> dict[str, object]:
    return {
        "provider": usage.provider,
        "model": usage.model,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        **usage.details,
    }
