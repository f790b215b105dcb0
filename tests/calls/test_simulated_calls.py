"""`make call` against a running server: what it shows is what was stored and what was heard."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path
from typing import Any

import pytest

from calls.management.commands.simulate_call import Unanswered, interrupting, telephone
from calls.models import Call
from calls.simulator import clips
from calls.simulator.script import Interrupt, Pause, Say, parse
from calls.simulator.witness import NobodyToCall
from tenants.db import run_in_tenant
from tests.calls.test_servers import serve as serve

pytestmark = pytest.mark.django_db(transaction=True)


def options(**changes: Any) -> dict[str, Any]:
    defaults = {"agent": "", "language": "en", "carrier": "twilio", "packet_loss": 0.0,
                "jitter": 0.0, "save": None}  # fmt: skip
    return {**defaults, **changes}


@pytest.mark.parametrize("carrier", ["twilio", "browser"])
async def test_the_screen_shows_what_was_stored_and_what_was_heard(
    other_desk, serve, settings, tmp_path, capsys, carrier
):
    server = await asyncio.to_thread(serve, "uvicorn")
    settings.PUBLIC_BASE_URL = server.account.server
    heard = tmp_path / "heard.wav"
    steps = parse("say how-much\nhang up")
    chosen = options(agent=other_desk.number, carrier=carrier, save=heard)
    assert await telephone(server.account.server, steps, chosen)

    (call,) = await run_in_tenant(other_desk.tenant.id, lambda: list(Call.objects.all()))
    assert (call.channel, call.end_reason) == (carrier, "caller_hung_up")
    shown = capsys.readouterr().out
    assert "agent  Hello." in shown
    assert "said 'How much is it?', answered after" in shown
    assert " ms = end of turn " in shown
    assert "ended: caller_hung_up\nanswered: 1 of 1" in shown
    assert seconds_of(heard) > 2


def seconds_of(path: Path) -> float:
    with wave.open(str(path)) as file:
        return file.getnframes() / file.getframerate()


async def test_no_server_is_one_clear_line(other_desk):
    with pytest.raises(Unanswered, match=r"cannot be reached .*is `make run` running\?"):
        await telephone("http://127.0.0.1:9", parse("hang up"), options())


async def test_an_unknown_agent_is_refused_with_the_choices(other_desk):
    with pytest.raises(NobodyToCall, match=r"no agent is 'Bob'. There are: Andrea \(\+14155550002"):
        await telephone("http://127.0.0.1:9", parse("hang up"), options(agent="Bob"))


def test_barge_in_speaks_every_question_but_the_first_into_the_answer():
    steps = interrupting(parse("say hello\npause 1\nsay stop"), 0.7)
    assert steps == [Say(clips.find("hello")), Pause(1.0), Interrupt(0.7, clips.find("stop"))]
