"""Listens to one PBX: its event socket, whatever becomes of it (threecx.md, 5).

    connect -> GET /callcontrol (events are not told again) -> events -> lost -> wait -> connect

An event names an entity; what that is now is asked for by HTTP, once at a time for each entity
however many events come meanwhile. Unknown kinds of event are overlooked: the PBX may grow.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import unquote

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from agents.brain.errors import ProviderError
from calls.providers.carriers.signals import Signal
from calls.providers.carriers.threecx.control import CallControl
from calls.providers.carriers.threecx.entities import DnState
from calls.providers.carriers.threecx.rest import NAME, NotThere, error_of
from calls.providers.carriers.threecx.roster import Roster
from calls.providers.carriers.trunk import KnownLeg
from calls.providers.tls import shared_tls

log = logging.getLogger(__name__)

UPSET, REMOVE, DTMF = 0, 1, 2
MOST_LOOKS = 2000  # at a time; more than any PBX has extensions

Look: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """Times in seconds. After a loss the wait doubles from `first_wait` up to `longest_wait`.

    Each wait is a random share of that, so that many who lost the same PBX do not come back
    together. A connection that held for `settled` counts as a fresh start. What changed is
    looked at `looks` times before one that fails is given up.
    """

    ping: float = 5.0
    pong: float = 10.0
    open: float = 10.0
    looks: int = 4
    first_wait: float = 0.5
    longest_wait: float = 30.0
    settled: float = 30.0


class Listener:
    """Follows one route point for ever, and whoever else its client may see.

    `tell` gets the signals of our own legs, `observe` the state of every other DN that changed.
    Both are called on the event loop and must not block. `problem` says why we are deaf, and is
    empty while we listen.
    """

    def __init__(
        self,
        control: CallControl,
        tell: Callable[[Signal], None],
        *,
        observe: Callable[[DnState], None] = lambda _state: None,
        known: Iterable[KnownLeg] = (),
        options: ListenOptions | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._control, self._tell, self._observe = control, tell, observe
        self._options, self._chance = options or ListenOptions(), chance
        self._roster = Roster(control.dn)
        self._roster.recall(known)
        self._connection = ""
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self.problem = "not connected yet"

    async def run(self) -> None:
        """Listen until cancelled."""
        failures = 0
        loop = asyncio.get_running_loop()
        try:
            while True:
                began = loop.time()
                self.problem = await self._listen()
                settled = loop.time() - began >= self._options.settled
                failures = 0 if settled else failures + 1
                wait = self._wait(failures)
                log.warning("no events of %s for %.1f s: %s", NAME, wait, self.problem)
                await asyncio.sleep(wait)
        finally:
            self._stop_looking()

    def _wait(self, failures: int) -> float:
        """Between half and all of the doubled time."""
        doubled = self._options.first_wait * 2.0 ** min(failures, 16)
        return min(doubled, self._options.longest_wait) * (0.5 + self._chance() / 2)

    async def _listen(self) -> str:
        """One connection to its end; why it ended."""
        try:
            async with await self._connect() as socket:
                await self._resync()
                self.problem = ""
                await self._follow(socket)
        except (ProviderError, OSError, TimeoutError, WebSocketException) as error:
            return str(error) or type(error).__name__
        finally:
            self._stop_looking()
        return "the PBX closed the connection"

    async def _connect(self) -> ClientConnection:
        """Open the socket, with a new token if ours has died."""
        tokens = self._control.rest.tokens
        token = await tokens.current()
        try:
            return await self._open(token.text)
        except InvalidStatus as refused:
            if refused.response.status_code != 401:
                raise error_of(refused.response.status_code) from None
        token = await tokens.after_refusal(token)
        try:
            return await self._open(token.text)
        except InvalidStatus as refused:
            raise error_of(refused.response.status_code) from None

    async def _open(self, token: str) -> ClientConnection:
        url = self._control.rest.credentials.events_url
        return await connect(
            url,
            additional_headers={"Authorization": f"Bearer {token}"},
            ssl=shared_tls() if url.startswith("wss") else None,
            open_timeout=self._options.open,
            ping_interval=self._options.ping,
            ping_timeout=self._options.pong,
            compression=None,
            proxy=None,
        )

    async def _resync(self) -> None:
        """Make up for what was not told while nobody listened."""
        self._connection = f"{time.time():.3f}"
        states = await self._control.states()
        own = [state for state in states if state.dn == self._control.dn]
        self._tell_all(self._roster.resync(each for state in own for each in state.participants))
        for state in states:
            if state.dn != self._control.dn:
                self._observe(state)

    async def _follow(self, socket: ClientConnection) -> None:
        async for text in socket:
            try:
                message = orjson.loads(text)
                self._take(message)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                log.warning("an event of %s makes no sense: %r", NAME, error)

    def _take(self, message: dict[str, Any]) -> None:
        """One event. What it says is hardly anything, so its order matters little."""
        event = message["event"]
        kind, entity = event["event_type"], str(event["entity"])
        dn, participant = _named(entity)
        if not dn:
            return
        if dn != self._control.dn:
            self._look(f"/{dn}", lambda: self._look_at_other(dn))
        elif not participant:
            return  # the route point's own devices
        elif kind == REMOVE:
            self._tell_all(self._roster.gone(participant))
        elif kind == UPSET:
            self._look(participant, lambda: self._look_at_own(participant))
        elif kind == DTMF:
            keys = str((event.get("attached_data") or {}).get("dtmf_input") or "")
            self._keys(participant, keys, message.get("sequence"))

    def _keys(self, participant: str, keys: str, sequence: object) -> None:
        """The PBX numbers its events, and may begin anew when it is connected anew."""
        event = f"{self._connection}:{sequence}"
        self._tell_all(self._roster.keys(participant, keys, event))

    # --- looking at what changed --------------------------------------------------------------

    def _look(self, key: str, look: Look) -> None:
        """Look once; again after that, if there was more news meanwhile."""
        if key in self._looking:
            self._again.add(key)
            return
        if len(self._looking) >= MOST_LOOKS:
            raise ValueError(f"{MOST_LOOKS} things have changed at once")
        self._looking[key] = asyncio.create_task(self._looked(key, look))

    async def _looked(self, key: str, look: Look) -> None:
        try:
            while True:
                self._again.discard(key)
                await self._insist(key, look)
                if key not in self._again:
                    return
        finally:
            if self._looking.get(key) is asyncio.current_task():
                del self._looking[key]
                self._again.discard(key)

    async def _insist(self, key: str, look: Look) -> None:
        """Look, also at a PBX that stumbles: a caller rings on whatever it answers."""
        for failures in range(1, self._options.looks + 1):
            try:
                await look()
                return
            except (ProviderError, ValueError) as error:
                log.warning("could not look at %s of %s: %s", key, NAME, error)
            await asyncio.sleep(self._wait(failures))

    async def _look_at_own(self, participant: str) -> None:
        try:
            found = await self._control.participant(self._control.dn, participant)
        except NotThere:
            self._tell_all(self._roster.gone(participant, "gone when looked at"))
            return
        self._tell_all(self._roster.seen(found))

    async def _look_at_other(self, dn: str) -> None:
        try:
            self._observe(await self._control.state(dn))
        except NotThere:
            return

    def _stop_looking(self) -> None:
        for task in self._looking.values():
            task.cancel()
        self._looking.clear()

    def _tell_all(self, signals: list[Signal]) -> None:
        for signal in signals:
            try:
                self._tell(signal)
            except Exception:  # a defect of who is told must not leave all calls deaf
                log.exception("%s was told and not taken", signal.event_id)


def _named(entity: str) -> tuple[str, str]:
    """The DN and the participant that a path names; empty for what it does not name."""
    parts = [unquote(part) for part in entity.strip("/").split("/")]
    if parts[0] != "callcontrol" or len(parts) < 2:
        return "", ""
    is_participant = len(parts) == 4 and parts[2] == "participants"
    return parts[1], parts[3] if is_participant else ""
