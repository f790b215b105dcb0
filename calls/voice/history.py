"""The conversation so far, as the brain is told it: what was heard, never what was generated.

A tool's result enters as soon as the tool is through, whatever becomes of the speech round it.
The agent's words enter when its turn is over, each piece before the tool that it announced:

    CallerSaid("book a tour")  AgentSaid("Let me look.")  ToolRan(...)  AgentSaid("I found three.")
"""

from __future__ import annotations

from collections.abc import Sequence

from calls.voice.ports import AgentSaid, Conversation, ConversationItem, ToolRan


class History:
    """Grows by items; only the caller's words in waiting may be taken back."""

    def __init__(self, language: str, items: Sequence[ConversationItem] = ()) -> None:
        self._language = language
        self._items: list[ConversationItem] = list(items)

    def snapshot(self) -> Conversation:
        return Conversation(tuple(self._items), self._language)

    def snapshot_with(self, items: Sequence[ConversationItem]) -> Conversation:
        """As it would be if the caller's turn were over with these."""
        return Conversation((*self._items, *items), self._language)

    def add(self, item: ConversationItem) -> None:
        self._items.append(item)

    def take_back(self, items: Sequence[ConversationItem]) -> bool:
        """Remove the newest items if they are these; False if something came after them."""
        if not items or self._items[-len(items) :] != list(items):
            return False
        del self._items[-len(items) :]
        return True

    def agent_said(self, pieces: Sequence[tuple[str, ToolRan | None]], interrupted: bool) -> None:
        """The agent's turn is over: heard texts, each with the tool that came after it."""
        heard = [(text, tool) for text, tool in pieces if text]
        for number, (text, tool) in enumerate(heard):
            cut = interrupted and number == len(heard) - 1
            self._insert(AgentSaid(text, interrupted=cut), before=tool)

    @property
    def last_question(self) -> str:
        """The agent's last sentence."""
        for item in reversed(self._items):
            if isinstance(item, AgentSaid):
                return item.text
        return ""

    def _insert(self, said: AgentSaid, before: ToolRan | None) -> None:
        for index, item in enumerate(self._items):
            if before is not None and item is before:
                self._items.insert(index, said)
                return
        self._items.append(said)
