"""How a carrier's sockets are entered: what its record says to whoever serves them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from calls.providers.carriers.asgi import Receive, Send
from calls.providers.carriers.socket import Limits
from calls.providers.carriers.stream import CallLine

Press = Callable[[str], Awaitable[None]]
LineT = TypeVar("LineT", bound=CallLine)


class Start(Protocol):
    """Whose a socket is, as its first message says.

    `parameters` are those that we gave the carrier for it, `account` is None where the carrier
    does not name it.
    """

    @property
    def leg(self) -> str: ...

    @property
    def account(self) -> str | None: ...

    @property
    def parameters(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Door(Generic[LineT]):
    """One protocol of a carrier's, over sockets that it opens to us.

    `read_start` waits for the first message; it raises MediaFault and StreamGone. `enter` makes
    the line of a socket whose start is read; keys go out by `press` where the protocol has no
    other way. A line that cannot be talked on has its `fault` from the beginning.
    """

    read_start: Callable[[Receive, Limits], Awaitable[Any]]
    enter: Callable[[Receive, Send, Any, Limits, Press | None], LineT]
