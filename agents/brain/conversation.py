"""Reading a conversation: what was said last, and which part of it a model is shown."""

from __future__ import annotations

from collections.abc import Sequence

from agents.brain.events import AgentSaid, CallerPressed, CallerSaid, ConversationItem, ToolRan

Items = Sequence[ConversationItem]


def caller_turns(items: Items) -> list[tuple[ConversationItem, ...]]:
    """The caller's turns, oldest first.

    Utterances with no word of the agent between them are one turn: what a caller says while
    the answer is still being prepared belongs to the question.
    """
    turns: list[tuple[ConversationItem, ...]] = []
    open_turn: list[ConversationItem] = []
    for item in items:
        if isinstance(item, CallerSaid | CallerPressed):
            open_turn.append(item)
        elif isinstance(item, AgentSaid) and open_turn:
            turns.append(tuple(open_turn))
            open_turn = []
    if open_turn:
        turns.append(tuple(open_turn))
    return turns


def spoken(turn: Items) -> str:
    """The words of one caller turn."""
    return " ".join(item.text for item in turn if isinstance(item, CallerSaid)).strip()


def pressed(turn: Items) -> str:
    """The keys of one caller turn."""
    return "".join(item.digits for item in turn if isinstance(item, CallerPressed))


def last_caller_text(items: Items) -> str:
    """What the caller said since the agent last spoke; empty if the agent spoke last."""
    words: list[str] = []
    for item in reversed(items):
        if isinstance(item, AgentSaid):
            break
        if isinstance(item, CallerSaid):
            words.append(item.text)
    return " ".join(reversed(words)).strip()


def last_agent_turn(items: Items) -> AgentSaid | None:
    """What the caller last heard of the agent."""
    return next((item for item in reversed(items) if isinstance(item, AgentSaid)), None)


def window(items: Items, turns: int) -> tuple[ConversationItem, ...]:
    """The last `turns` caller turns with everything since, tools included."""
    starts = [
        index
        for index, item in enumerate(items)
        if isinstance(item, CallerSaid | CallerPressed)
        and not (index and isinstance(items[index - 1], CallerSaid | CallerPressed))
    ]
    if len(starts) <= turns:
        return tuple(items)
    return tuple(items[starts[-turns] :])


def tools_ran(items: Items) -> set[str]:
    """The ids of the tool calls that history knows."""
    return {item.call_id for item in items if isinstance(item, ToolRan)}
