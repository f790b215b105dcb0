"""Opening hours by the clock on the wall: half-open, past midnight, over changes of the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from calls.routing.hours import Calendar, Interval, everywhere, next_everywhere

MADRID, MEXICO = ZoneInfo("Europe/Madrid"), ZoneInfo("America/Mexico_City")
NEW_YORK, LOS_ANGELES = ZoneInfo("America/New_York"), ZoneInfo("America/Los_Angeles")
OFFICE, NIGHT, ALL_DAY = (
    Interval(time(9), time(18)),
    Interval(time(22), time(2)),
    Interval(time(0), time(0)),
)
DAYTIME = Interval(time(9), time(20))
CHRISTMAS = date(2026, 12, 25)  # a Friday


def weekdays(zone, *intervals, special=()):
    return Calendar(zone, dict.fromkeys(range(5), intervals), dict(special))


def at(zone, *moment, fold=0):
    return datetime(*moment, tzinfo=zone, fold=fold)


@pytest.mark.parametrize(
    ("hour", "minute", "second", "is_open"),
    [(8, 59, 59, False), (9, 0, 0, True), (17, 59, 59, True), (18, 0, 0, False)],
)
def test_it_opens_on_the_stroke_and_closes_on_the_stroke(hour, minute, second, is_open):
    now = at(MADRID, 2026, 11, 23, hour, minute, second)
    assert weekdays(MADRID, OFFICE).is_open(now.astimezone(UTC)) is is_open


def test_two_intervals_leave_the_siesta_closed():
    calendar = weekdays(MADRID, Interval(time(9), time(14)), Interval(time(16), time(20)))
    found = [calendar.is_open(at(MADRID, 2026, 11, 23, hour)) for hour in (13, 14, 15, 16)]
    assert found == [True, False, False, True]


def test_an_evening_runs_past_midnight_into_a_day_that_is_closed_itself():
    calendar = Calendar(MADRID, {4: (NIGHT,)})  # Fridays
    friday, saturday = (2026, 11, 20), (2026, 11, 21)
    assert not calendar.is_open(at(MADRID, *friday, 1))
    assert calendar.is_open(at(MADRID, *friday, 23, 59, 59))
    assert calendar.is_open(at(MADRID, *saturday, 0))
    assert calendar.is_open(at(MADRID, *saturday, 1, 59))
    assert not calendar.is_open(at(MADRID, *saturday, 2))
    assert not calendar.is_open(at(MADRID, *saturday, 22))


def test_a_sunday_evening_runs_into_monday():
    assert Calendar(MADRID, {6: (NIGHT,)}).is_open(at(MADRID, 2026, 11, 23, 1))


def test_midnight_to_midnight_is_the_whole_day_and_no_more():
    calendar = Calendar(MADRID, {0: (ALL_DAY,)})
    assert calendar.is_open(at(MADRID, 2026, 11, 23))
    assert calendar.is_open(at(MADRID, 2026, 11, 23, 23, 59, 59, 999999))
    assert not calendar.is_open(at(MADRID, 2026, 11, 24))


def test_the_day_is_that_of_the_place_and_not_of_the_server():
    """Monday 23:30 in Mexico is Tuesday 05:30 in UTC."""
    calendar = Calendar(MEXICO, {0: (Interval(time(23), time(0)),)})
    assert calendar.is_open(datetime(2026, 11, 24, 5, 30, tzinfo=UTC))
    assert calendar.day_of(datetime(2026, 11, 24, 5, 30, tzinfo=UTC)) == date(2026, 11, 23)


def test_nine_is_nine_in_summer_and_in_winter():
    calendar = Calendar(MADRID, dict.fromkeys(range(7), (OFFICE,)))
    winter, summer = (2026, 3, 28), (2026, 3, 29)  # the clock goes forward that night
    assert not calendar.is_open(datetime(*winter, 7, 59, tzinfo=UTC))
    assert calendar.is_open(datetime(*winter, 8, 0, tzinfo=UTC))
    assert not calendar.is_open(datetime(*summer, 6, 59, tzinfo=UTC))
    assert calendar.is_open(datetime(*summer, 7, 0, tzinfo=UTC))


def test_an_opening_in_the_hour_that_is_left_out_is_at_the_next_moment_there_is():
    """Madrid, 29 March 2026: 01:59:59 is followed by 03:00:00, at 01:00 UTC."""
    calendar = Calendar(MADRID, {6: (Interval(time(2, 30), time(5)),)})
    assert not calendar.is_open(datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC))
    assert calendar.is_open(datetime(2026, 3, 29, 1, 0, tzinfo=UTC))
    assert not calendar.is_open(datetime(2026, 3, 29, 3, 0, tzinfo=UTC))  # 05:00 there


def test_an_hour_that_comes_twice_is_open_twice():
    """Madrid, 25 October 2026: 02:00 to 03:00 is there at 00:00 and at 01:00 UTC."""
    calendar = Calendar(MADRID, {6: (Interval(time(2), time(3)),)})
    for hour in (0, 1):
        assert calendar.is_open(datetime(2026, 10, 25, hour, 30, tzinfo=UTC))
    assert calendar.is_open(at(MADRID, 2026, 10, 25, 2, 30, fold=1))
    assert not calendar.is_open(datetime(2026, 10, 25, 2, 0, tzinfo=UTC))


def test_a_holiday_is_closed_from_midnight_to_midnight_whatever_ran_into_it():
    calendar = weekdays(MADRID, NIGHT, OFFICE, special=[(CHRISTMAS, ())])
    assert calendar.is_open(at(MADRID, 2026, 12, 24, 23, 59, 59))
    assert not calendar.is_open(at(MADRID, 2026, 12, 25, 0))
    assert not calendar.is_open(at(MADRID, 2026, 12, 25, 12))
    assert not calendar.is_open(at(MADRID, 2026, 12, 25, 23))
    assert not calendar.is_open(at(MADRID, 2026, 12, 26, 1))  # Friday's night would reach here


def test_a_holiday_with_hours_of_its_own_has_only_those():
    calendar = weekdays(MADRID, OFFICE, special=[(CHRISTMAS, (Interval(time(10), time(12)),))])
    found = [calendar.is_open(at(MADRID, *CHRISTMAS.timetuple()[:3], hour)) for hour in (9, 10, 12)]
    assert found == [False, True, False]


def test_everywhere_means_in_each_zone():
    zones = (NEW_YORK, LOS_ANGELES)
    assert not everywhere(DAYTIME, zones, at(NEW_YORK, 2026, 11, 23, 11, 59))  # 08:59 in the west
    assert everywhere(DAYTIME, zones, at(NEW_YORK, 2026, 11, 23, 12))
    assert not everywhere(DAYTIME, zones, at(NEW_YORK, 2026, 11, 23, 20))


def test_the_next_time_everywhere_is_when_the_last_zone_opens():
    zones = (NEW_YORK, LOS_ANGELES)
    night = at(NEW_YORK, 2026, 11, 23, 23)
    assert next_everywhere(DAYTIME, zones, night) == at(LOS_ANGELES, 2026, 11, 24, 9)
    day = at(NEW_YORK, 2026, 11, 23, 13)
    assert next_everywhere(DAYTIME, zones, day) == day


def test_the_next_time_is_by_the_clock_of_the_day_on_which_it_is():
    """Saturday evening before the clock goes forward: 9 on Sunday is 07:00 UTC."""
    evening = at(MADRID, 2026, 3, 28, 21)
    found = next_everywhere(DAYTIME, (MADRID,), evening)
    assert found is not None
    assert found.astimezone(UTC) == datetime(2026, 3, 29, 7, tzinfo=UTC)


def test_there_is_no_time_at_which_day_is_everywhere_on_earth():
    zones = (ZoneInfo("Pacific/Auckland"), ZoneInfo("Europe/Madrid"))
    assert next_everywhere(DAYTIME, zones, at(MADRID, 2026, 11, 23, 12)) is None
