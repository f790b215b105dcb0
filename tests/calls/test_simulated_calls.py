"""`make call` against a running server: what it shows is what was stored and what was heard."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.management import CommandError, call_command

from calls.management.commands.simulate_call import (
    Unanswered,
    WrongLanguage,
    choose,
    interrupting,
    telephone,
)
from calls.models import Call
from calls.simulator import clips, conversation
from calls.simulator.script import Interrupt, Pause, Say, parse
from calls.simulator.witness import NobodyToCall
from tenants.db import run_in_tenant
from tenants.models import Tenant
from tests.calls.conftest import staff_desk

pytestmark = pytest.mark.django_db(transaction=True)


def options(**changes: Any) -> dict[str, Any]:
    defaults = {"agent": "", "language": "", "carrier": "twilio", "script": "", "barge_in": None,
                "packet_loss": 0.0, "jitter": 0.0, "save": None, "no_color": False}  # fmt: skip
    return {**defaults, **changes}


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], str]:
    """A script of one's own; gives its path."""

    def write(text: str) -> str:
        path = tmp_path / "script.txt"
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize("carrier", ["twilio", "telnyx", "browser", "webrtc"])
async def test_the_screen_shows_what_was_stored_and_what_was_heard(
    other_desk, lasting, settings, tmp_path, capsys, carrier, written
):
    server = await asyncio.to_thread(lasting, "uvicorn")
    settings.PUBLIC_BASE_URL = server.account.server
    heard = tmp_path / "heard.wav"
    script = written("say how-much\nhang up")
    chosen = options(agent=other_desk.number, carrier=carrier, save=heard, script=script)
    assert await telephone(server.account.server, chosen) == ""

    (call,) = await run_in_tenant(other_desk.tenant.id, lambda: list(Call.objects.all()))
    channel = "browser" if carrier == "webrtc" else carrier
    assert (call.channel, call.end_reason) == (channel, "caller_hung_up")
    shown = capsys.readouterr().out
    assert "agent  Hello." in shown
    assert "caller  How much is it?  [agent's voice after " in shown
    assert " ms = ▒ end of turn " in shown
    assert "ended  caller hung up\n   answered  1 of 1" in shown
    assert seconds_of(heard) > 2


def seconds_of(path: Path) -> float:
    with wave.open(str(path)) as file:
        return file.getnframes() / file.getframerate()


async def test_real_account_at_telnyx_is_not_simulated(other_desk, settings):
    settings.TELNYX_API_KEY = "KEY0"
    with pytest.raises(Unanswered, match="account at the real Telnyx"):
        await telephone("http://127.0.0.1:9", options(carrier="telnyx"))


async def test_no_server_to_telephone_by_telnyx_is_one_clear_line(other_desk):
    with pytest.raises(Unanswered, match=r"webhook could not be reached to call\.initiated"):
        await telephone("http://127.0.0.1:9", options(carrier="telnyx"))


async def test_no_server_is_one_clear_line(other_desk):
    with pytest.raises(Unanswered, match=r"cannot be reached .*is `make run` running there"):
        await telephone("http://127.0.0.1:9", options())


async def test_an_unknown_agent_is_refused_with_the_choices(other_desk):
    with pytest.raises(
        NobodyToCall, match=r"no agent called 'Bob'; there is Andrea \(\+14155550002"
    ):
        await telephone("http://127.0.0.1:9", options(agent="Bob"))


async def test_a_database_that_nobody_set_up_is_one_clear_line(monkeypatch):
    monkeypatch.setattr(Tenant._meta, "db_table", "not_yet_made")
    with pytest.raises(NobodyToCall, match="this database is empty: start `make run` first"):
        await telephone("http://127.0.0.1:9", options())


async def test_the_caller_speaks_the_language_of_the_agent(desk, other_desk):
    assert (await choose(desk.number, "", ""))[1] == "reserva"
    assert (await choose(other_desk.number, "", ""))[1] == "tour"


async def test_without_a_wish_the_agent_is_called_who_is_understood_without_a_key(desk, other_desk):
    dialled, script, _steps = await choose("", "", "")
    assert (dialled.number, script) == (other_desk.number, "tour")


@pytest.mark.parametrize(("language", "script"), [("es", ""), ("", "reserva")])
async def test_the_script_or_the_language_chooses_the_agent(desk, other_desk, language, script):
    dialled, script, _steps = await choose("", language, script)
    assert (dialled.number, script) == (desk.number, "reserva")


@pytest.mark.parametrize(("language", "script"), [("en", ""), ("", "tour")])
async def test_an_agent_is_not_called_in_a_language_that_it_does_not_speak(desk, language, script):
    with pytest.raises(WrongLanguage, match="'tour' speaks English, and Andrea speaks Spanish: "
                       "try SCRIPT=reserva"):  # fmt: skip
        await choose(desk.number, language, script)


async def test_an_agent_of_two_languages_is_called_in_either(tenant):
    both = await sync_to_async(staff_desk)(tenant, "+525512340009", slug="both", also=("en",))
    assert [(await choose(both.number, code, ""))[1] for code in ("", "en")] == ["reserva", "tour"]


async def test_a_caller_whom_nobody_understands_is_told_so_before_and_after(
    desk, lasting, settings, capsys, written, monkeypatch
):
    monkeypatch.setattr(conversation, "PATIENCE", 3.0)
    server = await asyncio.to_thread(lasting, "uvicorn")
    settings.PUBLIC_BASE_URL = server.account.server
    script = written("pause 2\nsay es-precio\nhang up")
    chosen = options(agent=desk.number, script=script)
    assert "no recogniser understands Spanish" in await telephone(server.account.server, chosen)
    shown = capsys.readouterr().out
    assert "Spanish, heard by embedded, spoken by embedded" in shown
    assert shown.index("understands none") < shown.index("caller  ¿Cuánto cuesta?")
    assert "answered  0 of 1" in shown


@pytest.mark.parametrize(
    ("option", "value"), [("--packet-loss", "101"), ("--jitter", "-1"), ("--barge-in", "soon")]
)
def test_an_option_out_of_its_bounds_is_refused_by_name(option, value):
    with pytest.raises(CommandError, match=rf"argument {option}: '{value}' is no number from 0 to"):
        call_command("simulate_call", f"{option}={value}")


def test_barge_in_speaks_every_question_but_the_first_into_the_answer():
    steps = interrupting(parse("say hello\npause 1\nsay stop"), 0.7)
    assert steps == [Say(clips.find("hello")), Pause(1.0), Interrupt(0.7, clips.find("stop"))]
