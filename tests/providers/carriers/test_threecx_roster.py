"""Signals from looking at who is on the line, however the news of it came."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from calls.providers.carriers.legs import LegState, picture
from calls.providers.carriers.signals import Answered, EndCause, Ended, KeysPressed, Ringing
from calls.providers.carriers.threecx.entities import DnState, Participant
from calls.providers.carriers.threecx.roster import Roster

RINGING = Participant(
    id="17", call="42", dn="ai", status="Ringing", party_number="+49170", dialled="+4930"
)
CONNECTED = replace(RINGING, status="Connected")
DIALING = replace(RINGING, status="Dialing", party_number="+49171")


def a_roster() -> Roster:
    seconds = itertools.count()
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return Roster("ai", now=lambda: start + timedelta(seconds=next(seconds)))


def test_a_caller_rings_is_answered_and_leaves():
    roster = a_roster()
    (ringing,) = roster.seen(RINGING)
    (answered,) = roster.seen(CONNECTED)
    (ended,) = roster.gone("17")
    assert isinstance(ringing, Ringing)
    assert (ringing.leg, ringing.incoming, ringing.session) == ("17.42", True, "42")
    assert (ringing.from_number, ringing.to_number) == ("+49170", "+4930")
    assert isinstance(answered, Answered)
    assert isinstance(ended, Ended)
    assert ended.cause is EndCause.COMPLETED
    assert len({ringing.event_id, answered.event_id, ended.event_id}) == 3


def test_looking_twice_tells_nothing_new():
    roster = a_roster()
    assert roster.seen(RINGING)
    assert roster.seen(RINGING) == []
    assert roster.seen(CONNECTED)
    assert roster.seen(CONNECTED) == []
    assert roster.gone("17")
    assert roster.gone("17") == []


def test_a_route_point_that_answers_by_itself_rings_and_is_answered():
    assert [type(signal) for signal in a_roster().seen(CONNECTED)] == [Ringing, Answered]


def test_our_own_call_is_outgoing_also_when_it_is_first_seen_connected():
    for participant in (DIALING, replace(CONNECTED, originated_by="ai")):
        ringing = a_roster().seen(participant)[0]
        assert isinstance(ringing, Ringing)
        assert not ringing.incoming
        assert ringing.from_number == "ai"


@pytest.mark.parametrize(
    ("before", "cause"),
    [
        (RINGING, EndCause.CANCELLED),
        (DIALING, EndCause.NO_ANSWER),
        (CONNECTED, EndCause.COMPLETED),
    ],
)
def test_an_end_is_read_from_how_far_it_had_come(before, cause):
    roster = a_roster()
    roster.seen(before)
    (ended,) = roster.gone("17")
    assert ended.cause is cause


def test_news_that_comes_after_the_end_is_nothing():
    roster = a_roster()
    roster.seen(CONNECTED)
    roster.gone("17")
    assert roster.seen(CONNECTED) == []


def test_a_caller_who_left_before_being_looked_at_never_was():
    roster = a_roster()
    assert roster.gone("17") == []
    assert roster.seen(RINGING) == []


def test_after_a_reconnection_the_missing_have_left_and_the_new_ring():
    roster = a_roster()
    roster.seen(CONNECTED)
    new = replace(RINGING, id="18", call="43")
    signals = roster.resync([new])
    assert [(type(signal), signal.leg) for signal in signals] == [
        (Ended, "17.42"), (Ringing, "18.43"),
    ]  # fmt: skip
    assert roster.resync([new]) == []


def test_a_number_that_a_restarted_pbx_uses_again_is_another_call():
    roster = a_roster()
    roster.seen(CONNECTED)
    signals = roster.resync([replace(RINGING, call="1")])
    assert [(type(signal), signal.leg) for signal in signals] == [
        (Ended, "17.42"), (Ringing, "17.1"),
    ]  # fmt: skip


def test_a_leg_keeps_its_name_when_the_pbx_moves_it_to_another_call():
    roster = a_roster()
    roster.seen(RINGING)
    (answered,) = roster.seen(replace(CONNECTED, call="99"))
    assert answered.leg == "17.42"


def test_keys_count_once_for_each_event():
    roster = a_roster()
    roster.seen(CONNECTED)
    (first,) = roster.keys("17", "5", "a:60")
    (second,) = roster.keys("17", "5", "a:61")
    assert isinstance(first, KeysPressed)
    assert first.event_id != second.event_id
    assert roster.keys("17", "5", "a:60") == []
    assert roster.keys("17", "", "a:62") == []


def test_keys_that_come_before_their_caller_was_looked_at_are_kept():
    roster = a_roster()
    assert roster.keys("17", "5", "a:60") == []
    assert [type(signal) for signal in roster.seen(CONNECTED)] == [Ringing, Answered, KeysPressed]
    roster.gone("17")
    assert roster.keys("17", "6", "a:70") == []


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_looks_makes_one_picture(seed):
    """The looks before the end may be shuffled and doubled; a look after it is none."""
    roster = a_roster()
    looks = [RINGING, CONNECTED] * 3
    random.Random(seed).shuffle(looks)
    signals = [signal for look in [*looks, CONNECTED] for signal in roster.seen(look)]
    signals += roster.gone("17")
    random.Random(seed).shuffle(signals)
    found = picture(signals)
    assert (found.state, found.cause) == (LegState.ENDED, EndCause.COMPLETED)
    assert found.answered_at is not None


def test_entities_are_read_whatever_is_missing():
    state = DnState.read({"dn": "ai", "devices": None, "participants": [{"id": 1}, "x"]})
    assert state.participants == (Participant(id="1", call="", dn="", status=""),)
    assert not state.is_registered
    assert state.is_busy
    with pytest.raises(ValueError, match="without a DN"):
        DnState.read({})
    with pytest.raises(ValueError, match="without an id"):
        Participant.read({})
