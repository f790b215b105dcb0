"""The decision: who takes this call, what is said first, and why. It reads, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from agents.models import Agent, AgentVersion
from agents.selectors import published_version
from calls.models.hours import Holiday, OpeningHours
from calls.models.number import Number
from calls.models.routing import RoutingReason, RoutingRule
from calls.routing.hours import Calendar, Interval


class NoPublishedAgent(Exception):
    """Nobody who could take the call has a published version, or all are switched off."""


@dataclass(frozen=True, slots=True)
class Route:
    """Who takes a call. `greeting` (language -> text) goes before the version's own."""

    agent: Agent
    version: AgentVersion
    greeting: Mapping[str, str]
    reason: RoutingReason

    def greeting_in(self, language: str) -> str:
        """What is said first in that language; empty: what the version says."""
        return self.greeting.get(language, "")


@dataclass(frozen=True, slots=True)
class _Hour:
    """What the opening hours make of this moment."""

    reason: RoutingReason
    agents: tuple[Agent | None, ...] = ()
    greeting: Mapping[str, str] = field(default_factory=dict)


def route(number: Number, caller: str, now: datetime) -> Route:
    """Who takes a call to this number at that moment.

    While a rule's opening hours are closed their own agent does, and their greeting is said. An
    agent who cannot take calls leaves it to the next in line: a caller is better served by
    whoever usually answers than by nobody. Raises NoPublishedAgent where there is none at all.
    """
    rule: RoutingRule | None = number.rule
    hour = _Hour(RoutingReason.ALWAYS)
    if rule is not None and rule.hours is not None:
        hour = _at(rule.hours, now)
    usual = (number.agent,) if rule is None else (_by_caller(rule, caller), rule.agent)
    agent, version = _first_published((*hour.agents, *usual), number)
    return Route(agent, version, hour.greeting, hour.reason)


def calendar_of(hours: OpeningHours) -> Calendar:
    """The stored week and holidays, as they are reckoned with."""
    weekly: dict[int, tuple[Interval, ...]] = {}
    for row in hours.intervals.all():
        weekly[row.weekday] = (
            *weekly.get(row.weekday, ()),
            Interval(row.opens, row.closes),
        )
    special = {day.day: _of_holiday(day) for day in hours.holidays.all()}
    return Calendar(ZoneInfo(hours.time_zone), weekly, special)


def _of_holiday(day: Holiday) -> tuple[Interval, ...]:
    if day.opens is None or day.closes is None:
        return ()
    return (Interval(day.opens, day.closes),)


def _at(hours: OpeningHours, now: datetime) -> _Hour:
    calendar = calendar_of(hours)
    if calendar.is_open(now):
        return _Hour(RoutingReason.OPEN)
    holiday = hours.holidays.filter(day=calendar.day_of(now)).first()
    if holiday is None:
        return _Hour(RoutingReason.CLOSED, (hours.agent,), hours.greeting)
    greeting = {**hours.greeting, **{k: text for k, text in holiday.greeting.items() if text}}
    return _Hour(RoutingReason.HOLIDAY, (holiday.agent, hours.agent), greeting)


def _by_caller(rule: RoutingRule, caller: str) -> Agent | None:
    """The agent for callers from there; the longest beginning that fits says most."""
    fitting = [row for row in rule.choices.all() if caller.startswith(row.caller_prefix)]
    best = max(fitting, key=lambda row: len(row.caller_prefix), default=None)
    return best.agent if best is not None else None


def _first_published(agents: Iterable[Agent | None], number: Number) -> tuple[Agent, AgentVersion]:
    for agent in agents:
        version = published_version(agent) if agent is not None and agent.is_active else None
        if agent is not None and version is not None:
            return agent, version
    raise NoPublishedAgent(f"nobody who answers {number} is active with a published version")
