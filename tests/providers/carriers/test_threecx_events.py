"""The event socket of a PBX: what is told, what is made up for, and how it comes back."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from calls.providers.carriers.signals import Answered, Ended, KeysPressed, Ringing, Signal
from calls.providers.carriers.threecx import events
from calls.providers.carriers.threecx.control import CallControl
from calls.providers.carriers.threecx.entities import DnState
from calls.providers.carriers.threecx.events import Listener, ListenOptions
from tests.peers.threecx import RudePbx

QUICK = ListenOptions(first_wait=0.02, longest_wait=0.05)


class Ears:
    """A listener at work and all that it told."""

    def __init__(self, pbx: RudePbx, **changes: str) -> None:
        self.pbx, self.rest = pbx, pbx.rest(**changes)
        self.told: list[Signal] = []
        self.seen: list[DnState] = []
        self.listener = Listener(
            CallControl(self.rest), self.told.append, observe=self.seen.append, options=QUICK
        )

    @property
    def kinds(self) -> list[type[Signal]]:
        return [type(signal) for signal in self.told]

    async def until(self, condition, seconds: float = 3.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def told_of(self, *kinds: type[Signal]) -> None:
        await self.until(lambda: len(self.told) >= len(kinds))
        assert self.kinds == list(kinds)

    async def connected(self) -> None:
        await self.until(lambda: not self.listener.problem and self.pbx.listened_to)


@asynccontextmanager
async def listening(**changes: str):
    async with RudePbx().running() as pbx:
        ears = Ears(pbx, **changes)
        running = asyncio.create_task(ears.listener.run())
        try:
            yield ears
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await ears.rest.aclose()


async def test_a_call_is_told_from_ringing_to_its_end():
    async with listening() as ears:
        await ears.connected()
        party = ears.pbx.ring()
        await ears.told_of(Ringing)
        party.connect()
        ears.pbx.changed(party)
        await ears.told_of(Ringing, Answered)
        ears.pbx.press(party, "12#")
        await ears.told_of(Ringing, Answered, KeysPressed)
        assert ears.told[-1].keys == "12#"
        ears.pbx.leave(party)
        await ears.told_of(Ringing, Answered, KeysPressed, Ended)


async def test_what_happened_while_nobody_listened_is_made_up_for():
    async with listening() as ears:
        await ears.connected()
        stays, leaves = ears.pbx.ring(), ears.pbx.ring()
        await ears.told_of(Ringing, Ringing)
        ears.pbx.cut_events()
        ears.pbx.vanish(leaves)
        await ears.until(lambda: len(ears.told) == 3)
        assert (type(ears.told[-1]), ears.told[-1].leg) == (Ended, f"{leaves.id}.{leaves.call}")
        ears.pbx.leave(stays)
        await ears.until(lambda: len(ears.told) == 4)


async def test_a_caller_who_was_ringing_before_we_came_is_taken():
    async with RudePbx().running() as pbx:
        pbx.ring()
        ears = Ears(pbx)
        running = asyncio.create_task(ears.listener.run())
        await ears.told_of(Ringing)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await ears.rest.aclose()


@pytest.mark.parametrize("shuffled", [2, 5, 6])
async def test_doubled_and_shuffled_events_tell_each_fact_once(shuffled):
    async with listening() as ears:
        await ears.connected()
        ears.pbx.faults.duplicates, ears.pbx.faults.shuffled = True, shuffled
        party = ears.pbx.ring()
        party.connect()
        ears.pbx.changed(party)
        ears.pbx.press(party, "5")
        await ears.until(lambda: len(ears.told) >= 3)
        await asyncio.sleep(0.05)
        assert sorted(kind.__name__ for kind in ears.kinds) == [
            "Answered",
            "KeysPressed",
            "Ringing",
        ]


async def test_a_party_that_is_gone_when_it_is_looked_at_has_left():
    async with listening() as ears:
        await ears.connected()
        party = ears.pbx.ring()
        await ears.told_of(Ringing)
        ears.pbx.vanish(party)
        ears.pbx.changed(party)
        await ears.told_of(Ringing, Ended)
        assert ears.told[-1].detail == "gone when looked at"


async def test_a_look_that_fails_is_repeated():
    async with listening() as ears:
        await ears.connected()
        ears.pbx.faults.statuses = [("/participants/", 503), ("/participants/", 500)]
        ears.pbx.ring()
        await ears.told_of(Ringing)


async def test_events_of_unknown_kinds_and_shapes_are_overlooked():
    async with listening() as ears:
        await ears.connected()
        for kind in (3, 4, 5, 99, "x", None):
            ears.pbx.odd_event(kind, "/callcontrol/ai/participants/1")
        ears.pbx.odd_event(0, "/elsewhere/ai")
        ears.pbx.odd_event(0, "/callcontrol/ai/devices/sip%3Aai")
        ears.pbx.deliver({"sequence": 1})
        ears.pbx.deliver({"event": "x"})
        ears.pbx.ring()
        await ears.told_of(Ringing)


async def test_a_defect_of_who_is_told_leaves_nobody_deaf():
    async with listening() as ears:
        await ears.connected()

        def broken(signal: Signal) -> None:
            ears.told.append(signal)
            raise ZeroDivisionError

        ears.listener._tell = broken
        ears.pbx.ring()
        ears.pbx.ring()
        await ears.told_of(Ringing, Ringing)


async def test_extensions_are_observed_and_make_no_calls_of_ours():
    async with listening() as ears:
        await ears.connected()
        assert {state.dn for state in ears.seen} == {"200", "201", "800"}
        ears.seen.clear()
        ears.pbx._enter(ears.pbx.dns["200"], "Connected", number="+4930")
        await ears.until(lambda: len(ears.seen) == 1)
        assert (ears.seen[0].dn, ears.seen[0].is_busy) == ("200", True)
        assert ears.told == []


async def test_a_token_that_died_is_renewed_for_the_socket():
    async with listening() as ears:
        await ears.connected()
        ears.pbx.revoke()
        ears.pbx.cut_events()
        await ears.until(lambda: not ears.pbx.listened_to)
        await ears.connected()
        assert ears.pbx.minted == 2


async def test_a_wrong_key_is_told_as_the_problem_and_tried_on():
    async with listening(client_secret="wrong") as ears:
        await ears.until(lambda: "refuses this client id" in ears.listener.problem)
        tries = len(ears.pbx.requests)
        await ears.until(lambda: len(ears.pbx.requests) > tries)


@pytest.mark.parametrize(("statuses", "said"), [([403], "HTTP 403"), ([401, 401], "HTTP 401")])
async def test_a_socket_that_is_refused_says_why_and_is_tried_again(statuses, said):
    async with RudePbx().running() as pbx:
        pbx.faults.statuses = [("/callcontrol/ws", status) for status in statuses]
        ears = Ears(pbx)
        problem = await ears.listener._listen()
        running = asyncio.create_task(ears.listener.run())
        await ears.connected()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await ears.rest.aclose()
    assert said in problem


async def test_waits_grow_with_chance_up_to_their_limit():
    async with RudePbx().running() as pbx:
        rest = pbx.rest()
        for chance, waits in ((0.0, [0.5, 1.0, 4.0, 15.0]), (1.0, [1.0, 2.0, 8.0, 30.0])):
            listener = Listener(CallControl(rest), lambda _signal: None, chance=lambda c=chance: c)
            assert [listener._wait(failures) for failures in (1, 2, 4, 20)] == waits
        await rest.aclose()


async def test_a_pbx_where_everything_changes_does_not_take_all_our_memory(monkeypatch):
    monkeypatch.setattr(events, "MOST_LOOKS", 3)
    async with listening() as ears:
        await ears.connected()
        for number in range(3):
            ears.listener._look(str(number), asyncio.Event().wait)
        with pytest.raises(ValueError, match="at once"):
            ears.listener._look("another", asyncio.Event().wait)
