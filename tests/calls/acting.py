"""An agent that does on the telephone what the test says, whatever it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agents.brain.events import HangUp, TextDelta, Transfer
from calls.line import setup
from calls.models import Utterance
from tenants.models import Tenant
from tests.calls.carrier_line import CloudLine
from tests.calls.conftest import Desk, staff_desk
from tests.calls.phone import QUICK, on_a_script
from tests.calls.waiting import until

MESSAGE = "Le llamó Andrea de Spirit Tours."
SALES, CUSTOMER = "+525555123456", "+525598765432"
PROFILE: dict[str, Any] = {
    "transcriber": {"provider": "embedded", "languages": ["es-MX"], "turns": QUICK},
    "functions": {"transfer_targets": [{"name": "Ventas", "number": SALES, "warm": True}]},
    "advanced": {"voicemail": "leave_message", "voicemail_message": MESSAGE},
}


class Does:
    """A mind that says something and does this, whatever it is told."""

    model_name = "scripted"
    observer = None

    def __init__(self, action):
        self.action = action

    async def open(self):
        """Nothing to connect to."""

    async def aclose(self):
        """Nothing is open."""

    async def reply(self, _items, committed):
        yield TextDelta("Un momento.")
        await committed.wait()
        yield self.action


def minded(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Agents hang up; what this is called with, they do instead."""
    does = Does(HangUp())
    monkeypatch.setattr(setup, "build_mind", lambda *_args, **_kwargs: does)
    return lambda action: setattr(does, "action", action)


@pytest.fixture
def mind(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Any) -> Callable[[Any], None]:
    """Set what the agent does: `mind(HangUp())`."""
    settings.MEDIA_ROOT = tmp_path
    on_a_script(monkeypatch)
    return minded(monkeypatch)


@pytest.fixture
def desk(tenant: Tenant) -> Desk:
    return staff_desk(tenant, "+525512340001", greeting="Hola.", **PROFILE)


async def handed_over(line: CloudLine, mind: Any, person: Any, *, warm: bool) -> Any:
    """A caller whom the agent hands to sales, where this person is."""
    line.cloud.people[SALES] = person
    mind(Transfer("Ventas", warm=warm, briefing="Un reembolso."))
    leg = await line.dialled()
    await line.press(leg)
    return leg


async def is_back(line: CloudLine, leg: Any) -> None:
    """Nobody took the caller, who hears the agent again, and then hangs up."""
    await line.call(state="live", streams=2)
    await until(lambda: line.rows(Utterance, text__contains="no contesta nadie"))
    assert (await line.call(state="live", streams=2)).transfer_to == ""  # that is told by now
    await line.hears(leg)
    await line.hang_up(leg)
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"
