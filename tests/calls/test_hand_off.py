"""A call that passes from one agent to another stays one call: row, recording and patience."""

from __future__ import annotations

import wave

import numpy as np
import pytest

from agents.brain.events import HandOff, TextDelta
from calls import session
from calls.line import setup
from calls.models import Call, CallEvent, Recording, Utterance
from calls.recordings import recordings_folder
from tenants.db import run_in_tenant, run_unscoped
from tests.calls.conftest import Desk, staff_desk
from tests.calls.phone import QUICK, on_a_script
from tests.calls.test_twilio_calls import dial as dial
from tests.calls.test_twilio_calls import rows
from tests.calls.test_twilio_calls import token_of as token_of
from tests.calls.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

SALES = "Aquí ventas."


def hearing(**turns):
    return {"provider": "embedded", "languages": ["es-MX"], "turns": {**QUICK, **turns}}


class PassesOn:
    """A mind that passes its caller to another agent, at the caller's first words."""

    model_name = "scripted"

    def __init__(self, agent):
        self.agent, self.observer = agent, None

    async def open(self):
        pass

    async def aclose(self):
        pass

    async def reply(self, items, committed):
        yield TextDelta("Le paso.")
        await committed.wait()
        yield HandOff(self.agent)


@pytest.fixture
def minds(monkeypatch, settings, tmp_path):
    """The slugs that the minds of the next calls pass on to, in turn; then real ones."""
    settings.MEDIA_ROOT = tmp_path
    on_a_script(monkeypatch)
    slugs: list[str] = []
    real = setup.build_mind

    def build(*args, **kwargs):
        return PassesOn(slugs.pop(0)) if slugs else real(*args, **kwargs)

    monkeypatch.setattr(setup, "build_mind", build)
    return slugs


async def published(tenant, number, slug="andrea", greeting="", recording=True, **turns) -> Desk:
    return await run_unscoped(
        staff_desk, tenant, number, slug=slug, greeting=greeting,
        transcriber=hearing(**turns), advanced={"recording": recording},
    )  # fmt: skip


async def say(phone):
    """Some words of 400 ms, and as much silence."""
    phone.talk(400)
    phone.talk(400, aloud=False)


async def passed_on(desk, phone, greeting=SALES):
    """The caller speaks, and the other agent has greeted; then the caller speaks to that one."""
    await phone.hears()
    await say(phone)
    await until(lambda: rows(desk, Utterance, heard_text=greeting))
    await say(phone)
    await until(lambda: rows(desk, Utterance, heard_text__contains="cien pesos"))


async def ended(desk, phone, quiet):
    phone.stop()
    await phone.over()
    await quiet.writer.drained(5)
    return await run_in_tenant(
        desk.tenant.id, lambda: Call.objects.select_related("agent", "version").get()
    )


def heard_at(path):
    """The tenths of a second of a recording in which the caller is heard."""
    with wave.open(str(path)) as file:
        frames = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    tenths = [frames[at : at + 800, 0] for at in range(0, len(frames), 800)]
    return {number for number, tenth in enumerate(tenths) if np.abs(tenth).max() > 1000}


async def test_the_row_names_who_has_the_caller_now_and_an_event_who_had(
    tenant, dial, quiet, minds
):
    desk = await published(tenant, "+525512340001")
    await published(tenant, "+525512340009", slug="ventas", greeting=SALES)
    minds.append("ventas")
    phone = await dial(desk)
    await passed_on(desk, phone)
    call = await ended(desk, phone, quiet)
    assert (call.agent.slug, call.version.agent_id) == ("ventas", call.agent_id)
    (event,) = await rows(desk, CallEvent, name="handed_over")
    assert event.data == {"from": "andrea", "to": "ventas"}
    first, *_, last = await rows(desk, Utterance)
    assert event.at_ms >= first.ended_ms
    assert event.at_ms <= last.started_ms


async def test_who_is_not_there_leaves_the_caller_with_the_agent_of_before(
    tenant, dial, quiet, minds
):
    desk = await published(tenant, "+525512340001")
    await published(tenant, "+525512340009", slug="ventas", greeting=SALES)
    minds += ["ventas", "nobody"]
    phone = await dial(desk)
    await phone.hears()
    await say(phone)
    await until(lambda: rows(desk, Utterance, heard_text=SALES))
    await say(phone)
    await until(lambda: rows(desk, CallEvent, name="hand_off_failed"))
    call = await ended(desk, phone, quiet)
    assert call.agent.slug == "ventas"
    assert len(await rows(desk, CallEvent, name="handed_over")) == 1


@pytest.mark.parametrize(
    ("first", "second", "tenths"),
    [
        (True, False, range(4)),
        (False, True, range(8, 12)),
        (True, True, (*range(4), *range(8, 12))),
    ],
)
async def test_each_part_of_a_call_is_recorded_as_its_own_agent_has_it(
    tenant, dial, quiet, minds, first, second, tenths
):
    desk = await published(tenant, "+525512340001", recording=first)
    await published(tenant, "+525512340009", "ventas", SALES, recording=second)
    minds.append("ventas")
    phone = await dial(desk)
    await passed_on(desk, phone)
    await ended(desk, phone, quiet)
    (recording,) = await rows(desk, Recording)
    heard = heard_at(recordings_folder() / recording.path)
    # On a slow machine the last of a part's frames may be placed a little late.
    assert set(tenths) <= heard <= {*tenths, *(tenth + 1 for tenth in tenths)}


@pytest.mark.parametrize(("first", "second", "limit"), [(60, 90, 60), (90, 60, 60)])
async def test_the_longest_duration_counts_over_the_whole_call(
    tenant, dial, quiet, minds, monkeypatch, first, second, limit
):
    desk = await published(tenant, "+525512340001", max_duration=first * 1000)
    await published(tenant, "+525512340009", "ventas", SALES, max_duration=second * 1000)
    minds.append("ventas")
    limits: list[float] = []
    real = session.CallSession

    def noted(ports, options, **others):
        limits.append(options.max_duration)
        return real(ports, options, **others)

    monkeypatch.setattr(session, "CallSession", noted)
    phone = await dial(desk)
    await passed_on(desk, phone)
    await ended(desk, phone, quiet)
    (event,) = await rows(desk, CallEvent, name="handed_over")
    assert limits[0] == first * 1000
    assert limits[1] == pytest.approx(limit * 1000 - event.at_ms, abs=250)
