"""One simulated call by Telnyx, as `make call` needs it: its cloud, one caller, one stream."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from calls.providers.carriers.telnyx.simulated import PORT
from calls.simulator.telnyx import TelnyxCloud
from calls.simulator.telnyx_legs import Leg
from calls.simulator.telnyx_stream import TelnyxStream

_PATIENCE = 15.0  # s that a caller lets it ring


class NotAnswered(Exception):
    """The call did not come about; the message says why."""


async def ring(cloud: TelnyxCloud, *, to: str, caller: str) -> tuple[Leg, TelnyxStream]:
    """Call a number and wait until the server has picked up. Raises NotAnswered."""
    leg = await cloud.call(to=to, caller=caller)
    if not all(200 <= status < 300 for _, status in cloud.delivered):
        raise NotAnswered(_why(cloud))
    try:
        await asyncio.wait_for(leg.settled.wait(), _PATIENCE)
    except TimeoutError:
        await cloud.end(leg, "originator_cancel", "caller")
        raise NotAnswered(f"nobody answered within {_PATIENCE:g} s") from None
    if leg.stream is None:
        raise NotAnswered(_why(cloud))
    return leg, leg.stream


@contextlib.asynccontextmanager
async def on_the_phone(
    cloud: TelnyxCloud, *, to: str, caller: str, port: int = PORT
) -> AsyncIterator[tuple[Leg, TelnyxStream]]:
    """A call in progress; the caller hangs up at the end. Raises NotAnswered."""
    async with cloud.running(port):
        leg, stream = await ring(cloud, to=to, caller=caller)
        try:
            yield leg, stream
        finally:
            await stream.stop()


def _why(cloud: TelnyxCloud) -> str:
    for envelope, status in cloud.delivered:
        data = envelope["data"]
        if not 200 <= status < 300:
            answer = f"answered {status}" if status else "could not be reached"
            return f"the webhook {answer} to {data['event_type']}"
        if data["event_type"] in ("streaming.failed", "call.hangup"):
            reason = data["payload"].get("failure_reason") or data["payload"].get("hangup_cause")
            return f"{data['event_type']}: {reason}"
    return "no media stream was opened"
