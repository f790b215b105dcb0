"""An event loop whose clock jumps: minutes of call take milliseconds, and nothing can hang.

When every task waits, the loop's time jumps to the next timer. When there is no timer either,
nothing can ever happen again: that is a `Deadlock`, raised at once. So is a loop that spins
without time passing.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

_SPINNING = 100_000  # turns of the loop at one moment
LONGEST = 6 * 3600.0  # virtual seconds


class Deadlock(RuntimeError):
    """The call waits for something that cannot happen."""


class _JumpingSelector(selectors.BaseSelector):
    """Watches nothing; instead of sleeping it moves the clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self._turns = 0
        self._inner = selectors.DefaultSelector()  # for the loop's own self-pipe

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock(f"at {self.now:.3f} s everything waits and nothing is due")
        if timeout > 0:
            self.now += timeout
            self._turns = 0
            if self.now > LONGEST:
                raise Deadlock(f"the call did not end within {LONGEST:.0f} s")
        self._turns += 1
        if self._turns > _SPINNING:
            raise Deadlock(f"at {self.now:.3f} s the loop spins without end")
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at 0 s."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run_virtually(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end in virtual time; also from inside another running loop.

    Raises `Deadlock`, what the work raises, and `AssertionError` for tasks left behind and for
    exceptions that asyncio would only have logged.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run(work)
    return _run_in_thread(work)


def _run(work: Coroutine[Any, Any, T]) -> T:
    loop = VirtualLoop()
    unhandled: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: unhandled.append(context))
    try:
        result = loop.run_until_complete(work)
        if unhandled:
            raise AssertionError(f"{unhandled[0]['message']}") from unhandled[0].get("exception")
        left = [task.get_name() for task in asyncio.all_tasks(loop)]
        if left:
            raise AssertionError(f"the call left tasks behind: {left}")
        return result
    finally:
        loop.close()


def _run_in_thread(work: Coroutine[Any, Any, T]) -> T:
    outcome: list[T] = []
    failure: list[BaseException] = []

    def runner() -> None:
        try:
            outcome.append(_run(work))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=runner, name="virtual-time")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]
