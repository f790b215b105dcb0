"""Waiting for something that rings no bell, such as a row in the database."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any


async def until(fits: Callable[[], Any], seconds: float = 10) -> Any:
    """Ask again and again until the answer is true, and give it; TimeoutError after `seconds`.

    A question that takes long, as one to the database does, is put less often: most of the
    time belongs to what is waited for.
    """
    clock = asyncio.get_running_loop().time
    async with asyncio.timeout(seconds):
        while True:
            asked = clock()
            answer = fits()
            if inspect.isawaitable(answer):
                answer = await answer
            if answer:
                return answer
            await asyncio.sleep(min(max(0.01, 3 * (clock() - asked)), 0.1))
