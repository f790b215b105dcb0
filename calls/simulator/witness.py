"""What the server stored of a simulated call, read while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from django.db import connection
from django.utils import timezone

from calls.models import Call, CallEvent, Number, Utterance
from calls.routing import NoPublishedAgent, Route, route
from calls.voice.events import Event
from tenants.db import run_in_tenant, run_unscoped, tenant_transaction
from tenants.models import Tenant

EVERY_SECONDS = 0.3
UNTIL_ENDED_SECONDS = 8.0
LANGUAGE_NAMES = {"en": "English", "es": "Spanish"}


class NobodyToCall(Exception):
    """No agent fits; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Dialled:
    """An agent who can be called, and how."""

    tenant_id: int
    tenant: str
    agent: str
    agent_id: str
    languages: tuple[str, ...]  # the first is the one in which it answers the telephone
    number: str

    @property
    def language(self) -> str:
        return self.languages[0]


def directory() -> list[Dialled]:
    """Every agent of every tenant that has an active number. Outside a tenant.

    Raises NobodyToCall for a database that no server has set up.
    """
    if Tenant._meta.db_table not in connection.introspection.table_names():
        raise NobodyToCall(
            "this database is empty: start `make run` first, with the same DATA_DIR or DATABASE_URL"
        )
    found = []
    for tenant in Tenant.objects.filter(is_active=True).order_by("id"):
        with tenant_transaction(tenant.id):
            for number in Number.objects.filter(is_active=True).select_related("agent", "rule"):
                with suppress(NoPublishedAgent):
                    found.append(_dialled(tenant, number, route(number, "", timezone.now())))
    return found


def _dialled(tenant: Tenant, number: Number, answer: Route) -> Dialled:
    agent, spoken = answer.agent, list(answer.version.languages)
    spoken.sort(key=lambda language: language != agent.language)
    return Dialled(
        tenant_id=tenant.id,
        tenant=tenant.name,
        agent=agent.name,
        agent_id=str(agent.public_id),
        languages=tuple(spoken),
        number=number.e164,
    )


async def whom_to_call(wanted: str, language: str = "") -> Dialled:
    """The agent of this name, id or number; without one, the first who answers in `language`.

    Where no language is asked for either, English comes first: it is understood without any key.
    Raises NobodyToCall.
    """
    everybody = await run_unscoped(directory)
    if wanted:
        fitting = [each for each in everybody if _is(each, wanted)]
    else:
        fitting = [each for each in everybody if each.language == (language or "en")]
        fitting += [each for each in everybody if language in (*each.languages, "")]
    if fitting:
        return fitting[0]
    asked = f"called {wanted!r}" if wanted else f"who speaks {LANGUAGE_NAMES[language or 'en']}"
    known = ", ".join(f"{each.agent} ({each.number}, {spoken_by(each)})" for each in everybody)
    raise NobodyToCall(
        f"there is no agent {asked}; there is {known}"
        if everybody
        else "no agent has a telephone number and a published version: give one both "
        "in the back office"
    )


def _is(each: Dialled, wanted: str) -> bool:
    return wanted.lower() in (each.agent.lower(), each.agent_id, each.number)


def spoken_by(each: Dialled) -> str:
    """The agent's languages in words."""
    return " and ".join(LANGUAGE_NAMES[language] for language in each.languages)


class Reports(Protocol):
    """Who is told what the witness sees."""

    def opened(self, opening: Mapping[str, str]) -> None:
        """`language`, and which `recogniser` and `voice` serve it; comes before every turn."""

    def turn(self, turn: Utterance) -> None:
        """One more turn is stored."""


class Witness:
    """Follows one call in the database and tells of each turn as it is stored."""

    def __init__(self, dialled: Dialled, reporter: Reports) -> None:
        self._dialled, self._reporter = dialled, reporter
        self.opening: dict[str, str] = {}  # what the server said of itself when it answered
        self._seen = -1
        self.call: Call | None = None
        self._opened: CallEvent | None = None
        self.turns: list[Utterance] = []

    async def watch(self, *, carrier_id: str = "", public_id: str = "") -> None:
        """Look until cancelled."""
        key = {"carrier_id": carrier_id} if carrier_id else {"public_id": public_id}
        while True:
            await self._look(key)
            await asyncio.sleep(EVERY_SECONDS)

    async def last_look(self, *, carrier_id: str = "", public_id: str = "") -> None:
        """Wait for the call's end to be stored, for a while."""
        key = {"carrier_id": carrier_id} if carrier_id else {"public_id": public_id}
        for _ in range(int(UNTIL_ENDED_SECONDS / EVERY_SECONDS)):
            await self._look(key)
            if self.call is not None and self.call.end_reason:
                return
            await asyncio.sleep(EVERY_SECONDS)

    async def _look(self, key: dict[str, str]) -> None:
        new = await run_in_tenant(self._dialled.tenant_id, self._read, key)
        if self._opened is not None and not self.opening:
            self.opening = self._opened.data
            self._reporter.opened(self.opening)
        for turn in new:
            self._seen = turn.sequence
            self.turns.append(turn)
            self._reporter.turn(turn)

    def _read(self, key: dict[str, str]) -> list[Utterance]:
        self.call = Call.objects.filter(**key).first()
        if self.call is None:
            return []
        if self._opened is None:
            started = CallEvent.objects.filter(call=self.call, name=Event.CALL_STARTED)
            self._opened = started.first()
        turns = Utterance.objects.filter(call=self.call, sequence__gt=self._seen)
        return list(turns.order_by("sequence"))
