"""A leg's picture: the same whatever the order and however often each thing is told."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from calls.providers.carriers.legs import LegPicture, LegState, picture
from calls.providers.carriers.signals import (
    Answered,
    Answerer,
    Bridged,
    Detected,
    EndCause,
    Ended,
    Ringing,
    Signal,
)

BEGAN = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


def told(kind: type[Signal], second: int, order: int | None = None, **more: Any) -> Signal:
    return kind(
        event_id=f"{kind.__name__}/{second}",
        leg="leg",
        at=BEGAN + timedelta(seconds=second),
        order=order,
        **more,
    )


RINGING = told(Ringing, 0, 0, incoming=False, from_number="+1", to_number="+2")
ANSWERED = told(Answered, 4, 1)
HEARD = told(Detected, 6, answerer=Answerer.MACHINE)
BEEP = told(Detected, 9, answerer=Answerer.MACHINE, may_speak=True)
ENDED = told(Ended, 20, 2, cause=EndCause.COMPLETED, detail="200")
WHOLE = [RINGING, ANSWERED, HEARD, BEEP, ENDED]


def test_nothing_told_is_a_leg_that_is_being_dialled() -> None:
    assert picture([]) == LegPicture()


def test_a_whole_call_is_seen_as_it_was() -> None:
    assert picture(WHOLE) == LegPicture(
        state=LegState.ENDED,
        answered_at=ANSWERED.at,
        ended_at=ENDED.at,
        cause=EndCause.COMPLETED,
        detail="200",
        answerer=Answerer.MACHINE,
        may_speak=True,
    )


@pytest.mark.parametrize("order", list(itertools.permutations(range(len(WHOLE)))))
def test_no_order_of_telling_changes_the_picture(order: tuple[int, ...]) -> None:
    assert picture([WHOLE[index] for index in order]) == picture(WHOLE)


def test_telling_twice_changes_nothing() -> None:
    doubled = WHOLE * 3
    random.Random(7).shuffle(doubled)
    assert picture(doubled) == picture(WHOLE)


def test_a_late_ringing_does_not_bring_an_ended_leg_back() -> None:
    late = told(Ringing, 30, 5, incoming=False, from_number="+1", to_number="+2")
    assert picture([ENDED, late]).state is LegState.ENDED


def test_the_carriers_count_goes_before_its_clock() -> None:
    first = told(Ended, 50, 1, cause=EndCause.BUSY)
    second = told(Ended, 40, 2, cause=EndCause.COMPLETED)
    assert picture([second, first]).cause is EndCause.BUSY


def test_two_legs_joined_are_known_to_be() -> None:
    assert picture([RINGING, ANSWERED, told(Bridged, 9)]).bridged
