"""Holds one account's standing connection while it may, and runs the calls that come over it.

    wait for the lease -> count the holder up -> listen, until the lease or the count is another's
                                              -> see our calls through, write nothing more

What is heard goes the way of every carrier's events: kept once, folded, commands given. Sound is
fetched for whichever leg waits for it in the database, so that a new call, one whose sound was
lost and one whose process died are the same to us.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from django.db import DatabaseError, DataError, IntegrityError, InterfaceError
from django.utils import timezone
from redis.exceptions import RedisError

from agents.brain.errors import ProviderError
from calls.carriers import dispatch
from calls.line.conduct import conduct
from calls.line.live import LiveCalls
from calls.line.presence import presence
from calls.line.ringing import prepare_greeting
from calls.providers.carriers.port import LegGone
from calls.providers.carriers.registry import carrier
from calls.providers.carriers.signals import Answered, Ended, KeysPressed, Ringing, Signal
from calls.providers.carriers.trunk import Extension, News, Trunk
from calls.services.carrier_signals import Taken
from calls.services.intake import StreamRefused, call_connect
from calls.services.trunks import (
    Hold,
    NoLongerHeld,
    SilentLeg,
    TrunkAccount,
    leg_we_placed,
    legs_left_over,
    legs_without_sound,
    trunk_take,
    trunk_tell,
)
from calls.session import StoredCall
from calls.trunks.shared import Lease, forget_extensions, lease_name, show_extension
from tenants.db import run_in_tenant

log = logging.getLogger(__name__)

R = TypeVar("R")

MOST_EXTENSIONS = 5000  # that are shown; a PBX that tells of more makes them up


@dataclass(frozen=True, slots=True)
class Times:
    """In seconds. A lease is asked for, and asked again, every `beat`; `look` is how often the
    database is asked for legs that wait for sound, beside whenever something happened. A leg that
    we placed may be heard of before its order is stored: its name is waited for `placed`. What
    cannot be held at all is tried again `after_failure`.
    """

    beat: float = 2.0
    look: float = 1.0
    retry: float = 0.5
    placed: float = 5.0
    after_failure: float = 30.0


class Keeper:
    """One account in one process."""

    def __init__(self, account: TrunkAccount, live: LiveCalls, times: Times | None = None) -> None:
        self.account, self._live, self._times = account, live, times or Times()
        self._lease = Lease(lease_name(account.carrier, str(account.public_id)))
        self._over = asyncio.Event()  # hold no more, and see our own calls through
        self.holds = False

    def retire(self) -> None:
        """Leave the connection to another process; calls that are here stay here."""
        self._over.set()

    async def run(self) -> None:
        """Hold the connection whenever nobody else does, until retired or cancelled."""
        while not self._over.is_set():
            if await self._may_hold():
                try:
                    await self._serve()
                except (NoLongerHeld, DatabaseError, InterfaceError) as error:
                    log.warning("%s is not held here: %s", self._name, error)
                except Exception:  # keys that open nothing, for one
                    log.exception("%s cannot be held", self._name)
                    await asyncio.sleep(self._times.after_failure)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), self._times.beat)

    async def _serve(self) -> None:
        """From taking the connection to letting it go."""
        own = self.account
        hold, known = await run_in_tenant(own.tenant_id, trunk_take, account=own)
        keys = await dispatch.account_of(own.tenant_id, own.carrier, own.account_id)
        line = Line(hold, self._live, self._times)
        line.trunk = _open_trunk(keys, News(line.hear, line.observe, known))
        dispatch.provide(keys, line.trunk.api)
        with suppress(RedisError, OSError):
            await forget_extensions(str(own.public_id))
        self.holds = True
        log.info("%s is held here", self._name)
        try:
            await line.run(self._until_lost)
        finally:
            self.holds = False
            with suppress(RedisError, OSError):
                await self._lease.let_go()
            dispatch.withdraw(keys, line.trunk.api)
            await line.trunk.aclose()

    async def _until_lost(self) -> None:
        """Return when the connection is another's, or is to be."""
        while not self._over.is_set() and await self._may_hold(otherwise=True):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), self._times.beat)
        with suppress(RedisError, OSError):
            await self._lease.let_go()

    async def _may_hold(self, *, otherwise: bool = False) -> bool:
        """Whether the lease is ours. While Redis is away nobody gets it, and who has it keeps it:
        the database tells the two apart should both believe so."""
        try:
            return await self._lease.hold()
        except (RedisError, OSError) as error:
            log.warning("%s: the lease cannot be asked for: %s", self._name, error)
            return otherwise

    @property
    def _name(self) -> str:
        return f"{self.account.carrier} account {self.account.public_id}"


def _open_trunk(keys: dispatch.Account, news: News) -> Trunk:
    entry = carrier(keys.carrier)
    if entry.trunk is None:
        raise TypeError(f"{keys.carrier} tells by webhooks")
    credentials = entry.credentials.model_validate(dict(keys.keys))
    return entry.trunk(credentials, dispatch.site_of(keys), news)


class Line:
    """A connection that is held: what is heard of it, and the calls on it."""

    trunk: Trunk

    def __init__(self, hold: Hold, live: LiveCalls, times: Times) -> None:
        self._hold, self._live, self._times = hold, live, times
        self._lost = asyncio.Event()
        self._news = asyncio.Event()
        self._names: dict[str, str] = {}  # the carrier's name of a leg -> ours
        self._telling: dict[str, asyncio.Task[None]] = {}
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._seen: dict[str, Extension] = {}

    async def run(self, until_lost: Callable[[], Awaitable[None]]) -> None:
        """Serve until it is lost; then listen for the calls that are here, till they are over."""
        listening = asyncio.create_task(self.trunk.run(), name="trunk")
        working = [
            asyncio.create_task(self._look_after(), name="trunk legs"),
            asyncio.ensure_future(until_lost()),
            asyncio.create_task(self._lost.wait(), name="trunk lost"),
        ]
        try:
            await asyncio.wait({listening, *working}, return_when=asyncio.FIRST_COMPLETED)
            self._lost.set()
            await _end(*working, *self._telling.values())
            if listening.done():
                listening.result()
            if self._calls:
                await asyncio.wait(self._calls.values())
        finally:
            self._lost.set()
            await _end(listening, *working, *self._telling.values(), *self._calls.values())

    # --- what is heard ------------------------------------------------------------------------

    def observe(self, extension: Extension) -> None:
        """Somebody at the PBX is busy, free, or there at all."""
        if self._seen.get(extension.number) == extension or self._lost.is_set():
            return
        if len(self._seen) >= MOST_EXTENSIONS and extension.number not in self._seen:
            return
        self._seen[extension.number] = extension
        work = _shown(str(self._hold.account.public_id), extension)
        self._live.in_background(work, f"extension {extension.number}")

    def hear(self, signal: Signal) -> None:
        """A signal of a leg. Keys and the end go to its sound at once; the rest is for the record.

        Keys are not kept: they may be a card's number.
        """
        self.trunk.pass_on(signal)
        if isinstance(signal, KeysPressed) or self._lost.is_set():
            return
        before = self._telling.get(signal.leg)
        task = asyncio.create_task(self._tell_after(before, signal), name=signal.event_id)
        self._telling[signal.leg] = task
        task.add_done_callback(lambda done: self._told(signal.leg, done))

    def _told(self, leg: str, task: asyncio.Task[None]) -> None:
        if self._telling.get(leg) is task:
            del self._telling[leg]
        if not task.cancelled() and task.exception() is not None:
            log.error("%s was not taken notice of", task.get_name(), exc_info=task.exception())

    async def _tell_after(self, before: asyncio.Task[None] | None, signal: Signal) -> None:
        """Leg by leg, in the order in which it was heard."""
        if before is not None:
            await asyncio.wait({before})
        name = await self._name_of(signal)
        if name is None:
            log.info("%s is of a call that is not ours", signal.event_id)
            return
        if isinstance(signal, Ended):
            self._names.pop(signal.leg, None)
        identity = f"{name}{signal.event_id.removeprefix(signal.leg)}"
        ours = replace(signal, leg=name, event_id=identity)
        taken = await self._insist(
            trunk_tell, hold=self._hold, signal=ours, accepting=self._live.accepting
        )
        if taken is not None:
            await self._follow(name, taken)
        if isinstance(signal, Answered):
            self._news.set()

    async def _name_of(self, signal: Signal) -> str | None:
        """Our name of the leg, which no other call ever had: a PBX that restarts counts anew."""
        if isinstance(signal, Ringing):
            name = await self._name_of_new(signal)
            if name is None:
                return None
            self._names[signal.leg] = name
        elif signal.leg.count(".") < 2 and signal.leg not in self._names:
            return None
        return self._names.get(signal.leg, signal.leg)

    async def _name_of_new(self, ringing: Ringing) -> str | None:
        if ringing.incoming:
            return f"{ringing.leg}.{secrets.token_hex(4)}"
        ours = {"hold": self._hold, "party": ringing.leg, "number": ringing.to_number}
        deadline = asyncio.get_running_loop().time() + self._times.placed
        while asyncio.get_running_loop().time() < deadline:
            name = await self._insist(leg_we_placed, **ours)
            if name is not None or self._lost.is_set():
                return name
            await asyncio.sleep(self._times.retry / 5)
        return None

    async def _follow(self, leg: str, taken: Taken) -> None:
        own = self._hold.account
        if taken.rings is not None:
            work = prepare_greeting(own.tenant_id, taken.rings.public_id)
            self._live.in_background(work, f"calls.line.ringing {taken.rings.public_id}")
        if taken.to_nobody:
            await dispatch.turn_away(own.tenant_id, own.carrier, own.account_id, leg)

    async def _insist(self, work: Callable[..., R], **arguments: object) -> R | None:
        """Do it, also with a database that is away for a while.

        None once we are lost, and for what the database refuses for what it is.
        """
        while not self._lost.is_set():
            try:
                return await run_in_tenant(self._hold.account.tenant_id, work, **arguments)
            except NoLongerHeld as error:
                log.warning("what is heard is another process's to keep: %s", error)
                self._lost.set()
            except (DataError, IntegrityError):
                log.exception("what was heard cannot be kept, ever")
                return None
            except (DatabaseError, InterfaceError):
                log.exception("what was heard cannot be kept yet")
                await asyncio.sleep(self._times.retry)
        return None

    # --- the calls ----------------------------------------------------------------------------

    async def _look_after(self) -> None:
        """Give sound to every leg that waits for it; hang up those that nobody could."""
        while not self._lost.is_set():
            self._news.clear()
            for silent in await self._insist(legs_without_sound, hold=self._hold) or ():
                self._attend(silent)
            if not self.trunk.problem:
                await self._hang_up_left_over()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), self._times.look)

    async def _hang_up_left_over(self) -> None:
        now = timezone.now()
        for leg in await self._insist(legs_left_over, hold=self._hold, now=now) or ():
            with suppress(ProviderError):
                await self.trunk.api.hang_up(leg, self._hold.account.public_id)

    def _attend(self, silent: SilentLeg) -> None:
        if silent.leg in self._calls or self._live.draining:
            return
        task = asyncio.create_task(self._talk(silent), name=f"call {silent.call}")
        self._calls[silent.leg] = task
        task.add_done_callback(lambda done: self._hung_up(silent.leg, done))

    def _hung_up(self, leg: str, task: asyncio.Task[None]) -> None:
        del self._calls[leg]
        self._news.set()  # its sound may have been lost, and is to be fetched again
        if not task.cancelled() and task.exception() is not None:
            log.error("%s broke off", task.get_name(), exc_info=task.exception())

    async def _talk(self, silent: SilentLeg) -> None:
        """Fetch the sound, and run the call if it still waits for it."""
        try:
            media = await self.trunk.open(silent.leg)
        except LegGone:
            return  # its end is told by an event
        except ProviderError as error:
            log.warning("call %s has no sound yet: %s", silent.call, error)
            await asyncio.sleep(self._times.retry)
            return
        try:
            call = await self._connected(silent)
            if call is not None:
                await conduct(call, media, self._live)
        finally:
            await media.hang_up(1000)

    async def _connected(self, silent: SilentLeg) -> StoredCall | None:
        try:
            found = await run_in_tenant(
                self._hold.account.tenant_id,
                call_connect,
                public_id=silent.call,
                carrier_id=silent.leg,
                after=silent.after,
                server=presence.process,
            )
        except StreamRefused as error:
            log.info("a leg's sound is not wanted any more: %s", error)
            return None
        return StoredCall(found)


async def _shown(account: str, extension: Extension) -> None:
    try:
        await show_extension(account, extension)
    except (RedisError, OSError) as error:
        log.warning("extension %s is not shown: %s", extension.number, error)


async def _end(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
