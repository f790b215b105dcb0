"""Brings what calls tell into the database, behind their backs.

One task per process collects for a moment, then writes a tenant's news in one transaction. A
turn is durable well within a second. While the database is away everything waits in memory and
is tried again; rows carry their sequence numbers, so that trying again after a commit that
nobody confirmed stores nothing twice.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import DataError, IntegrityError

from calls.line.rows import Item
from calls.line.store import CallStore
from calls.services import calls as services
from tenants.db import run_in_tenant

log = logging.getLogger(__name__)

BATCH_WINDOW = 0.2
BATCH_ITEMS = 200
HEARTBEAT_SECONDS = 5.0
_RETRY_FIRST, _RETRY_MOST = 0.25, 5.0


@dataclass(frozen=True, slots=True)
class Batch:
    """The oldest items of one call, on their way."""

    store: CallStore
    items: Sequence[Item]


class Writer:
    """The process's one way for calls into the database. Runs while there are calls."""

    def __init__(self) -> None:
        self._stores: dict[int, CallStore] = {}
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._next_beat = 0.0
        self._failures = 0

    def add(self, store: CallStore) -> None:
        """Write for this call, and keep it known as alive, until it is closed and written."""
        if self._task is None or self._task.done() or _of_another_loop(self._task):
            self._news = asyncio.Event()
            self._next_beat = time.monotonic() + HEARTBEAT_SECONDS
            self._task = asyncio.create_task(self._run(), name="calls.line.writer")
        self._stores[id(store)] = store

    def wake(self) -> None:
        """There is something to write."""
        self._news.set()

    @property
    def backlog(self) -> int:
        """How many items are not in the database yet, over all calls."""
        return sum(store.pending for store in list(self._stores.values()))

    def tenants(self) -> Counter[int]:
        """How many calls that are not closed each tenant has, by its id."""
        open_calls = [store.call for store in list(self._stores.values()) if not store.closed]
        return Counter(call.tenant_id for call in open_calls)

    @property
    def failing(self) -> bool:
        """Whether the last attempt failed."""
        return self._failures > 0

    async def drained(self, seconds: float) -> int:
        """Wait until nothing is left; the number of items that still are after `seconds`."""
        if self._task is not None and not self._task.done():
            await asyncio.wait({self._task}, timeout=seconds)
        return self.backlog

    async def _run(self) -> None:
        while self._stores:
            await self._wait_for_news()
            await asyncio.sleep(self._pause())
            self._news.clear()
            await self._write_all()
            await self._beat_if_due()
            self._forget_finished()

    async def _wait_for_news(self) -> None:
        if self._failures:
            return
        try:
            async with asyncio.timeout_at(
                asyncio.get_running_loop().time() + max(0.0, self._next_beat - time.monotonic())
            ):
                await self._news.wait()
        except TimeoutError:
            return

    def _pause(self) -> float:
        """Collect for a moment; after failures, leave the database alone for longer."""
        if not self._failures:
            return BATCH_WINDOW
        most: float = min(_RETRY_MOST, _RETRY_FIRST * 2**self._failures)
        return most * random.uniform(0.5, 1.0)

    async def _write_all(self) -> None:
        tenants: defaultdict[int, list[Batch]] = defaultdict(list)
        for store in self._stores.values():
            if store.pending:
                batch = Batch(store, store.head(BATCH_ITEMS))
                tenants[store.call.tenant_id].append(batch)
        results = await asyncio.gather(*(self._write(t, b) for t, b in tenants.items()))
        self._failures = 0 if all(results) else self._failures + 1
        if any(store.pending for store in self._stores.values()):
            self._news.set()

    async def _write(self, tenant_id: int, batches: Sequence[Batch]) -> bool:
        try:
            await run_in_tenant(tenant_id, write_batches, batches)
        except (DataError, IntegrityError) as error:
            return await self._isolate(tenant_id, batches, error)
        except Exception:
            log.exception("calls cannot be stored at the moment: %d items wait", self.backlog)
            return False
        for batch in batches:
            batch.store.confirm(len(batch.items))
        return True

    async def _isolate(self, tenant_id: int, batches: Sequence[Batch], error: Exception) -> bool:
        """The database refuses something for what it is: find out what, keep the rest."""
        if len(batches) > 1:
            results = [await self._write(tenant_id, [batch]) for batch in batches]
            return all(results)
        if len(batches[0].items) > 1:
            return await self._write_one_by_one(tenant_id, batches[0])
        store, item = batches[0].store, batches[0].items[0]
        log.error(
            "call %s: %s cannot be stored, ever: %s",
            store.call.public_id, type(item).__name__, error,
        )  # fmt: skip
        store.confirm(1)
        return True

    async def _write_one_by_one(self, tenant_id: int, batch: Batch) -> bool:
        for item in batch.items:
            if not await self._write(tenant_id, [Batch(batch.store, [item])]):
                return False  # not this item's fault: what follows has to wait behind it
        return True

    async def _beat_if_due(self) -> None:
        if time.monotonic() < self._next_beat:
            return
        self._next_beat = time.monotonic() + HEARTBEAT_SECONDS
        tenants: defaultdict[int, list[int]] = defaultdict(list)
        for store in self._stores.values():
            if not store.closed:
                tenants[store.call.tenant_id].append(store.call.id)
        for tenant_id, call_ids in tenants.items():
            try:
                await run_in_tenant(tenant_id, services.calls_alive, call_ids=call_ids)
            except Exception:
                log.exception("the heartbeat of %d calls was not stored", len(call_ids))

    def _forget_finished(self) -> None:
        for key, store in list(self._stores.items()):
            if store.closed and not store.pending:
                del self._stores[key]


def write_batches(batches: Sequence[Batch]) -> None:
    """Store the items of some calls of the current tenant, in this transaction."""
    for batch in batches:
        services.call_append(call_id=batch.store.call.id, items=batch.items)


def _of_another_loop(task: asyncio.Task[None]) -> bool:
    return task.get_loop() is not asyncio.get_running_loop()
