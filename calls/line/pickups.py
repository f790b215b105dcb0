"""Who picked up the calls that we placed: what a carrier tells reaches the conversation.

Carriers tell a webhook, which runs in any process; the conversation runs in one. What was told
is on the leg's row. Each process looks there for all its fresh outbound calls at once, for as
long as it is not known who or what answered them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from calls.line.rows import CallRef
from calls.models import Leg
from tenants.db import run_in_tenant

log = logging.getLogger(__name__)

LOOK_EVERY = 0.4
GIVE_UP_AFTER = 75.0  # longer than any mailbox talks before its beep

Tell = Callable[[bool, bool], None]


@dataclass(slots=True)
class _Watched:
    """A call of which it is not known yet who answered, or whose machine has not beeped."""

    call: CallRef
    tell: Tell
    until: float
    told: tuple[bool, bool] | None = None


class Pickups:
    """The process's one look at who answered. Runs while there are calls to look after."""

    def __init__(self, *, every: float = LOOK_EVERY, give_up_after: float = GIVE_UP_AFTER) -> None:
        self._every, self._give_up_after = every, give_up_after
        self._watched: dict[int, _Watched] = {}
        self._task: asyncio.Task[None] | None = None
        self._over = asyncio.Event()  # nobody is watched any more

    def watch(self, call: CallRef, tell: Tell) -> None:
        """Say so when a machine answered, and again what more is known of it.

        That is whether it has beeped, and whether its greeting is over.
        """
        self._watched[call.id] = _Watched(call, tell, time.monotonic() + self._give_up_after)
        running = self._task is not None and not self._task.done()
        if not running or self._task.get_loop() is not asyncio.get_running_loop():  # type: ignore[union-attr]
            self._over = asyncio.Event()
            self._task = asyncio.create_task(self._run(), name="calls.line.pickups")

    async def look(self, call: CallRef) -> None:
        """Look at once what is known of a call that is watched."""
        await self._look(call.tenant_id, [call.id])

    def forget(self, call_id: int) -> None:
        """The call is over. One that was never watched is no matter."""
        self._watched.pop(call_id, None)
        if not self._watched:
            self._over.set()

    def __len__(self) -> int:
        return len(self._watched)

    async def _run(self) -> None:
        while self._watched:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._over.wait()
            self._over.clear()
            tenants: defaultdict[int, list[int]] = defaultdict(list)
            for watched in self._watched.values():
                tenants[watched.call.tenant_id].append(watched.call.id)
            await asyncio.gather(*(self._look(tenant, ids) for tenant, ids in tenants.items()))
            now = time.monotonic()
            for call_id, watched in list(self._watched.items()):
                if watched.until <= now:
                    self.forget(call_id)

    async def _look(self, tenant_id: int, call_ids: Sequence[int]) -> None:
        try:
            found = await run_in_tenant(tenant_id, picked_up, call_ids)
        except Exception:
            log.exception("who picked up %d calls cannot be looked up now", len(call_ids))
            return
        for call_id, known in found.items():
            self._found(call_id, *known)

    def _found(self, call_id: int, answerer: str, may_speak: bool, greeted: bool) -> None:
        watched = self._watched.get(call_id)
        if watched is None or answerer == Leg.PickedUp.UNKNOWN:
            return
        is_machine = answerer == Leg.PickedUp.MACHINE
        if is_machine and watched.told != (may_speak, greeted):
            watched.told = may_speak, greeted
            watched.tell(may_speak, greeted)
        if may_speak or not is_machine:
            self.forget(call_id)


def picked_up(call_ids: Sequence[int]) -> Mapping[int, tuple[str, bool, bool]]:
    """What is known of who answered these calls, and whether it beeped and has greeted."""
    legs = Leg.objects.filter(call_id__in=call_ids, role=Leg.Role.CUSTOMER).exclude(picked_up="")
    rows = legs.values_list("call_id", "picked_up", "may_speak", "greeted")
    return {call_id: (answerer, may, greeted) for call_id, answerer, may, greeted in rows}


pickups = Pickups()
