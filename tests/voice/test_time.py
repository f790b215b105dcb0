"""Watchdogs, lag and timers: what notices that something hangs, and time itself."""

import asyncio

import pytest

from calls.voice.clock import LoopClock, Timer, crashed, guarded
from calls.voice.testing import Deadlock, Script, run_script, run_virtually
from calls.voice.watchdog import LoopLag, Tasks, Watchdog
from tests.voice.test_scripted_calls import booking, near, options

# --- watchdogs ----------------------------------------------------------------------------


def test_watchdog_names_what_hung_and_forgets_what_ended():
    async def work():
        hung = []
        watchdog = Watchdog(LoopClock(), lambda what, waited: hung.append((what, round(waited))))
        watchdog.enter("long", 500)
        watchdog.enter("short", 100)
        watchdog.enter("ended", 200)
        watchdog.leave("ended")
        await asyncio.sleep(0.3)
        watchdog.enter("again", 100)
        await asyncio.sleep(0.05)
        watchdog.leave("again")
        await asyncio.sleep(1)
        watchdog.stop()
        return hung

    assert run_virtually(work()) == [("short", 100), ("long", 500)]


def test_task_that_will_not_end_is_named():
    async def work():
        async def stubborn():
            while True:
                try:
                    await asyncio.sleep(1)
                except asyncio.CancelledError:
                    if asyncio.get_running_loop().time() > 5:
                        raise

        tasks = Tasks(lambda _: None)
        assert await tasks.finish() == []
        task = tasks.spawn(stubborn(), "stubborn")
        await asyncio.sleep(0)
        stuck = await tasks.finish()
        await asyncio.sleep(10)
        task.cancel()
        await asyncio.sleep(1)
        return stuck

    assert run_virtually(work()) == ["stubborn"]


def test_loop_lag_is_measured_and_alarmed():
    async def work():
        lag, alarms = LoopLag(), []
        assert (lag.worst, lag.quantile(0.99)) == (0, 0)
        lag.join("a", alarms.append)
        lag.join("b", alarms.append)
        await asyncio.sleep(1.05)
        assert lag.worst == pytest.approx(0, abs=0.001)
        lag.note(300.0)
        lag.leave("a")
        for _ in range(700):
            lag.note(1.0)
        assert (lag.worst, lag.quantile(0.5)) == (1.0, 1.0)
        lag.leave("b")
        lag.leave("b")
        return alarms

    assert run_virtually(work()) == [300.0, 300.0]


def test_lag_alarm_is_an_event_of_the_call(monkeypatch):
    monkeypatch.setattr("calls.voice.watchdog.LAG_ALARM", -1.0)
    timeline = run_script(booking(), options())
    assert "loop_lag" in [name for _, name, _ in timeline.events]


# --- time ---------------------------------------------------------------------------------


def test_timer_rings_once_at_the_last_setting():
    async def work():
        clock, rung = LoopClock(), []
        timer = Timer(clock, lambda: rung.append(clock.now()))
        timer.set(500)
        timer.set(200)
        await clock.sleep_until(1000)
        timer.set(1500)
        timer.cancel()
        await clock.sleep_until(2000)
        return rung

    assert run_virtually(work()) == [pytest.approx(200)]


def test_defect_outside_of_a_call_is_raised():
    def defect():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        guarded(defect)
    found = []
    token = crashed.set(found.append)
    guarded(defect)
    crashed.reset(token)
    assert isinstance(found[0], ZeroDivisionError)


def test_waiting_for_nothing_is_a_deadlock():
    async def forever():
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock, match="nothing is due"):
        run_virtually(forever())


def test_spinning_is_a_deadlock():
    async def spin():
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)

    with pytest.raises(Deadlock, match="spins"):
        run_virtually(spin())


def test_endless_call_is_a_deadlock():
    async def endless():
        while True:  # noqa: ASYNC110
            await asyncio.sleep(600)

    with pytest.raises(Deadlock, match="did not end"):
        run_virtually(endless())


def test_task_left_behind_is_an_error():
    async def leaks():
        asyncio.get_running_loop().create_task(asyncio.sleep(1), name="leaked")

    with pytest.raises(AssertionError, match="leaked"):
        run_virtually(leaks())


async def test_scripted_call_runs_inside_a_running_loop():
    timeline = run_script(booking(), options())
    assert timeline.end_reason == "caller_hung_up"


async def test_failure_inside_a_running_loop_is_raised():
    async def broken():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_virtually(broken())


def test_half_an_hour_of_call_takes_no_time():
    timeline = run_script(Script(greeting=None), options(away_after=0))
    assert timeline.end_reason == "max_duration"
    assert timeline.ended == near(1800 + 1.5)


def test_script_groups_replies_and_tools_into_turns():
    call = Script()
    call.agent_calls_tool("a")
    call.agent_replies("One.")
    call.agent_calls_tool("b")
    call.agent_replies("Two.")
    call.caller_says("x", at=1, until=2)
    call.agent_calls_tool("c")
    call.agent_replies("Three.", first_token=0.5)
    call.agent_replies("Four.", first_token=0.5, last_token=0.1)
    call.agent_calls_tool("d")
    groups = [
        [getattr(step, "name", None) or step.text for step in turn] for turn in call.replies()
    ]
    assert groups == [["a", "One.", "b", "Two."], ["c", "Three."], ["Four.", "d"]]
    only_tool = Script()
    only_tool.agent_calls_tool("e")
    assert len(only_tool.replies()) == 1


def test_an_exception_in_a_callback_is_not_only_logged() -> None:
    async def work() -> None:
        asyncio.get_running_loop().call_later(1.0, [].pop)
        await asyncio.sleep(2.0)

    with pytest.raises(AssertionError, match="Exception in callback") as caught:
        run_virtually(work())
    assert isinstance(caught.value.__cause__, IndexError)
