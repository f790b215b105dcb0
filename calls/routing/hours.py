"""When somebody is there: by the clock on the wall of a place, whatever daylight saving does.

Times are compared as the clock shows them. So an hour that the clock shows twice is open twice,
one that it leaves out is not there, and "from 9" is 9 in summer and in winter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Interval:
    """From `opens` until just before `closes`.

    One that closes no later than it opens ends on the next day: 22:00 to 02:00, and 00:00 to
    00:00 for a whole day.
    """

    opens: time
    closes: time

    @property
    def passes_midnight(self) -> bool:
        return self.closes <= self.opens

    def covers(self, clock: time) -> bool:
        """Whether it is open at that time of the day on which it opens."""
        return self.opens <= clock and (self.passes_midnight or clock < self.closes)

    def covers_next_day(self, clock: time) -> bool:
        """Whether it is still open at that time of the day after."""
        return self.passes_midnight and clock < self.closes


@dataclass(frozen=True, slots=True)
class Calendar:
    """A place's week, Monday being 0, and the days that are unlike the others.

    Such a day has its own intervals, or none, from midnight to midnight: what the evening
    before would have run into it does not.
    """

    zone: ZoneInfo
    weekly: Mapping[int, tuple[Interval, ...]]
    special: Mapping[date, tuple[Interval, ...]] = field(default_factory=dict)

    def day_of(self, now: datetime) -> date:
        """The date there."""
        return now.astimezone(self.zone).date()

    def is_open(self, now: datetime) -> bool:
        """Whether somebody is there at this moment, which has a time zone."""
        local = now.astimezone(self.zone)
        today, clock = local.date(), local.time()
        if any(interval.covers(clock) for interval in self._of(today)):
            return True
        yesterday = () if today in self.special else self._of(today - timedelta(days=1))
        return any(interval.covers_next_day(clock) for interval in yesterday)

    def _of(self, day: date) -> tuple[Interval, ...]:
        return self.special.get(day, self.weekly.get(day.weekday(), ()))


def everywhere(interval: Interval, zones: Iterable[ZoneInfo], now: datetime) -> bool:
    """Whether the clocks of all these zones are within an interval of every day."""
    return all(_daily(interval, zone).is_open(now) for zone in zones)


def next_everywhere(
    interval: Interval, zones: Iterable[ZoneInfo], now: datetime
) -> datetime | None:
    """The first moment from now on at which it is so; None if there is none in two days.

    It can only begin when the last of the zones comes to its opening.
    """
    places = tuple(zones)
    if everywhere(interval, places, now):
        return now
    openings = sorted(
        datetime.combine(now.astimezone(zone).date() + timedelta(days=ahead), interval.opens, zone)
        for zone in places
        for ahead in range(3)
    )
    return next(
        (
            opening
            for opening in openings
            if opening > now and everywhere(interval, places, opening)
        ),
        None,
    )


def _daily(interval: Interval, zone: ZoneInfo) -> Calendar:
    return Calendar(zone, dict.fromkeys(range(7), (interval,)))
