"""Has this process hold, as far as it may, the connection of every account that wants one."""

from __future__ import annotations

import asyncio
import logging

from django.db import DatabaseError, InterfaceError, ProgrammingError

from calls.line.live import LiveCalls, live
from calls.services.trunks import TrunkAccount, trunk_accounts
from calls.trunks import shared
from calls.trunks.keeper import Keeper, Times
from tenants.db import run_unscoped

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0


class Desk:
    """A keeper for each account. It belongs to the event loop of the calls."""

    def __init__(self, calls: LiveCalls, times: Times | None = None) -> None:
        self._live, self._times = calls, times
        self._keepers: dict[TrunkAccount, tuple[Keeper, asyncio.Task[None]]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None

    @property
    def held(self) -> list[TrunkAccount]:
        """The accounts whose connection this process has."""
        return [account for account, (keeper, _) in self._keepers.items() if keeper.holds]

    def begin(self) -> None:
        """Look for accounts from now on, in a process that takes calls."""
        if self._looking is None and self._live.takes_calls:
            self._looking = asyncio.create_task(self._look(), name="calls.trunks")

    def retire(self) -> None:
        """Leave all connections to other processes; the calls that are here are seen through."""
        if self._looking is not None:
            self._looking.cancel()
        for account in list(self._keepers):
            self._leave(account)

    async def end(self) -> None:
        """Let go of everything. Doing it twice, or without a beginning, is harmless."""
        self.retire()
        tasks = [*self._leaving, *([self._looking] if self._looking is not None else [])]
        self._looking = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await shared.close()

    async def _look(self) -> None:
        while True:
            try:
                wanted = set(await run_unscoped(trunk_accounts))
            except ProgrammingError:  # a first start, whose migrations are under way
                log.info("which accounts want a connection is not known: no tables yet")
            except (DatabaseError, InterfaceError):
                log.exception("which accounts want a connection is not known")
            else:
                self._follow(wanted)
            await asyncio.sleep(LOOK_SECONDS)

    def _follow(self, wanted: set[TrunkAccount]) -> None:
        for account in [known for known in self._keepers if known not in wanted]:
            self._leave(account)
        for account in wanted - set(self._keepers):
            keeper = Keeper(account, self._live, self._times)
            task = asyncio.create_task(keeper.run(), name=f"calls.trunks {account.public_id}")
            self._keepers[account] = keeper, task

    def _leave(self, account: TrunkAccount) -> None:
        keeper, task = self._keepers.pop(account)
        keeper.retire()
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


desk = Desk(live)
