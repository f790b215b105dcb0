"""The commands of the port, at a PBX over real HTTP."""

from __future__ import annotations

import asyncio
import gzip
import uuid
from contextlib import asynccontextmanager, suppress

import pytest

from agents.brain.errors import (
    BadKey,
    BadRequest,
    NetworkFailure,
    ProviderDown,
    ProviderTimeout,
    QuotaExceeded,
)
from calls.providers.carriers.bearer import MemoryTokens
from calls.providers.carriers.port import (
    Dial,
    Handover,
    LegGone,
    MachineDetection,
    StreamTarget,
    Unsupported,
)
from calls.providers.carriers.signals import Bridged, EndCause, HandoverEnded, Signal
from calls.providers.carriers.threecx.api import ThreeCxApi
from calls.providers.carriers.threecx.control import ActionFailed, CallControl
from calls.providers.carriers.threecx.credentials import ThreeCxCredentials
from calls.providers.carriers.threecx.rest import ThreeCxRest
from tests.peers.threecx import Party, RudePbx, Telephone

STREAM = StreamTarget("", {})


def noting(told: list[Signal]):
    async def tell(signal: Signal) -> None:
        told.append(signal)

    return tell


COMMAND = uuid.UUID(int=7)


@asynccontextmanager
async def a_pbx(**changes: str):
    """A PBX, our interface to it, and what that tells."""
    async with RudePbx().running() as pbx:
        told: list[Signal] = []
        api = ThreeCxApi(pbx.rest(**changes), tell=noting(told))
        try:
            yield pbx, api, told
        finally:
            await api.aclose()


def leg_of(party: Party) -> str:
    return f"{party.id}.{party.call}"


def dial(number: str = "+491711111111", **more) -> Dial:
    return Dial(number, "", STREAM, "", COMMAND, **more)


def handover(party: Party, to: str = "200", briefing: str = "") -> Handover:
    return Handover(leg_of(party), to, "", "", COMMAND, "en", ring_seconds=1, briefing=briefing)


# --- tokens ------------------------------------------------------------------------------


async def test_many_commands_use_one_token():
    async with a_pbx() as (pbx, api, _):
        await asyncio.gather(*(api.extensions() for _ in range(10)))
        assert pbx.minted == 1


async def test_a_token_that_died_is_renewed_once_in_the_middle_of_commands():
    async with a_pbx() as (pbx, api, _):
        await api.extensions()
        pbx.revoke()
        await asyncio.gather(*(api.extensions() for _ in range(10)))
        assert pbx.minted == 2


async def test_a_second_refusal_in_a_row_is_an_error_and_no_loop():
    async with a_pbx() as (pbx, api, _):
        pbx.faults.statuses = [("/callcontrol", 401)] * 2
        with pytest.raises(BadKey):
            await api.extensions()
        assert pbx.minted == 2


# --- calls -------------------------------------------------------------------------------


async def test_a_ringing_call_is_answered_and_dropped():
    async with a_pbx() as (pbx, api, _):
        party = pbx.ring()
        await api.answer(leg_of(party), STREAM, COMMAND)
        assert party.status == "Connected"
        await api.hang_up(leg_of(party), COMMAND)
        assert party.left.is_set()


async def test_a_call_that_the_pbx_answered_by_itself_is_no_error():
    async with a_pbx() as (pbx, api, _):
        party = pbx.ring()
        party.connect()
        await api.answer(leg_of(party), STREAM, COMMAND)


async def test_hanging_up_what_is_gone_is_no_error_and_the_rest_says_so():
    async with a_pbx() as (pbx, api, _):
        party = pbx.ring()
        pbx.vanish(party)
        await api.hang_up(leg_of(party), COMMAND)
        for command in (api.answer, api.reattach):
            with pytest.raises(LegGone):
                await command(leg_of(party), STREAM, COMMAND)


async def test_a_call_is_placed_from_the_route_points_own_device():
    async with a_pbx() as (pbx, api, _):
        pbx.telephones["+491711111111"] = Telephone(picks_up_after=0.0)
        leg = await api.place(dial())
        (party,) = pbx.own.parties.values()
        assert leg == f"{leg_of(party)}.{COMMAND.hex[:8]}"
        await asyncio.wait_for(party.connected.wait(), 2)
        path = next(path for method, path in pbx.requests if path.endswith("makecall"))
        assert (
            path == "/callcontrol/ai/devices/sip%3Aai%40127.0.0.1%3A5060%3Btransport%3Dtcp/makecall"
        )


async def test_a_stale_device_is_looked_up_again():
    async with a_pbx() as (pbx, api, _):
        await api.place(dial())
        pbx.own.devices = ("sip:ai@new",)
        await api.place(dial())
        assert len(pbx.own.parties) == 2


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("PhoneBusy", EndCause.BUSY),
        ("NoAnswer", EndCause.NO_ANSWER),
        ("NoDestinations", EndCause.UNKNOWN_NUMBER),
        ("Polling", EndCause.FAILED),
    ],
)
async def test_a_call_that_fails_says_why(reason, cause):
    async with a_pbx() as (pbx, api, _):
        pbx.telephones["+491711111111"] = Telephone(reason=reason)
        with pytest.raises(ActionFailed, match="could not be delivered") as caught:
            await api.place(dial())
        assert caught.value.cause is cause


async def test_an_action_that_is_rejected_is_an_error_though_http_says_200():
    async with a_pbx() as (pbx, api, _):
        party = pbx.ring()
        pbx.faults.finalstatus = "Rejected"
        with pytest.raises(ActionFailed, match="Rejected, the line is busy"):
            await api.answer(leg_of(party), STREAM, COMMAND)


# --- turning away ------------------------------------------------------------------------


async def test_a_refused_caller_is_diverted_to_the_overflow():
    async with a_pbx(overflow="800") as (pbx, api, _):
        party = pbx.ring()
        await api.refuse(leg_of(party), COMMAND, busy=True)
        assert party.routed_to == "800"


async def test_a_refused_caller_is_dropped_where_there_is_no_overflow():
    async with a_pbx() as (pbx, api, _):
        party = pbx.ring()
        await api.refuse(leg_of(party), COMMAND, busy=True)
        assert (party.left.is_set(), party.routed_to) == (True, "")


async def test_a_refused_caller_who_was_picked_up_already_is_dropped():
    async with a_pbx(overflow="800") as (pbx, api, _):
        party = pbx.ring()
        party.connect()
        await api.refuse(leg_of(party), COMMAND, busy=False)
        assert (party.left.is_set(), party.routed_to) == (True, "")


# --- to a person -------------------------------------------------------------------------


async def test_a_caller_is_routed_to_a_person_and_we_leave():
    async with a_pbx() as (pbx, api, told):
        party = pbx.ring()
        await api.hand_over(handover(party))
        assert (party.routed_to, party.left.is_set()) == ("200", True)
        bridged, ended = told
        assert isinstance(bridged, Bridged)
        assert isinstance(ended, HandoverEnded)
        assert (ended.leg, ended.reached) == (leg_of(party), True)


@pytest.mark.parametrize(
    ("person", "cause"),
    [
        (Telephone(reason="PhoneBusy"), EndCause.BUSY),
        (Telephone(picks_up_after=5.0), EndCause.NO_ANSWER),
    ],
)
async def test_a_caller_whom_nobody_takes_stays_with_us(person, cause):
    async with a_pbx() as (pbx, api, told):
        pbx.telephones["200"] = person
        party = pbx.ring()
        party.connect()
        await api.hand_over(handover(party))
        assert not party.left.is_set()
        (ended,) = told
        assert (ended.reached, ended.cause) == (False, cause)


async def test_a_caller_who_cannot_be_routed_is_transferred():
    async with a_pbx() as (pbx, api, told):
        pbx.faults.statuses = [("/routeto", 422)]
        party = pbx.ring()
        party.connect()
        await api.hand_over(handover(party))
        assert told[-1].reached
        assert [path.rsplit("/", 1)[1] for _, path in pbx.requests[-3:]] == [
            "routeto", "transferto", "drop",
        ]  # fmt: skip


async def test_a_hand_over_repeated_by_its_command_tells_the_same_facts():
    async with a_pbx() as (pbx, api, told):
        pbx.telephones["200"] = Telephone(reason="PhoneBusy")
        party = pbx.ring()
        await api.hand_over(handover(party))
        await api.hand_over(handover(party))
        assert len({signal.event_id for signal in told}) == 1


@pytest.mark.parametrize("takes", [True, False])
async def test_a_person_is_briefed_on_a_leg_of_their_own_first(takes):
    async with RudePbx().running() as pbx:
        told, briefed = [], []

        async def brief(leg: str, asked: Handover) -> bool:
            briefed.append((leg, asked.briefing))
            return takes

        api = ThreeCxApi(pbx.rest(), tell=noting(told), brief=brief)
        party = pbx.ring()
        await api.hand_over(handover(party, briefing="Ana wants a refund"))
        await api.aclose()
    ((leg, words),) = briefed
    assert words == "Ana wants a refund"
    assert leg != leg_of(party)
    assert party.left.is_set() is takes
    assert [party.number for party in pbx.own.parties.values() if party.number == "200"] == []
    assert told[-1].reached is takes


async def test_what_a_pbx_cannot_do_is_said():
    async with a_pbx() as (pbx, api, _):
        leg = leg_of(pbx.ring())
        with pytest.raises(Unsupported, match="no keys"):
            await api.send_dtmf(leg, "1", COMMAND)
        with pytest.raises(Unsupported, match="machine detection"):
            await api.place(dial(detect=MachineDetection.AFTER_GREETING))
        with pytest.raises(Unsupported, match="warm transfer"):
            await api.hand_over(handover(pbx.ring(), briefing="x"))
        with pytest.raises(Unsupported, match="recording"):
            api.recording("1", "")


async def test_extensions_tell_who_could_take_a_call():
    async with a_pbx() as (_, api, _told):
        found = {state.dn: state for state in await api.extensions()}
        assert set(found) == {"200", "201", "800"}
        assert found["200"].is_registered
        assert not found["201"].is_registered


# --- errors ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (422, BadRequest),
        (424, ProviderDown),
        (429, QuotaExceeded),
        (500, ProviderDown),
        (403, BadKey),
    ],
)
async def test_errors_tell_their_cause(status, error):
    async with a_pbx() as (pbx, api, _):
        pbx.faults.statuses = [("/callcontrol", status)]
        with pytest.raises(error):
            await api.extensions()


async def test_a_pbx_that_does_not_answer_is_given_up(monkeypatch):
    monkeypatch.setattr("calls.providers.carriers.threecx.rest.TIMEOUT_SECONDS", 0.05)
    async with a_pbx() as (pbx, api, _):
        pbx.faults.delay = 1.0
        with pytest.raises(ProviderTimeout):
            await api.extensions()


# --- check connection --------------------------------------------------------------------


async def test_a_good_account_has_no_problems():
    async with a_pbx() as (pbx, api, _):
        found = await api.check()
        assert (found.account, found.problems) == (f"ai@{pbx.url[7:]}", ())


async def problem(**changes: str) -> str:
    async with a_pbx(**changes) as (_, api, _told):
        (found,) = (await api.check()).problems
        return found


async def test_a_wrong_secret_is_named():
    assert "refuses the client ID ai" in await problem(client_secret="wrong")


async def test_a_wrong_secret_is_named_though_another_one_has_a_live_token():
    async with a_pbx() as (pbx, api, _):
        assert (await api.check()).problems == ()
        other = ThreeCxApi(pbx.rest(client_secret="wrong"))
        assert (await other.check()).problems
        await other.aclose()


async def test_a_check_beside_live_calls_mints_nothing():
    async with a_pbx() as (pbx, api, _):
        await api.extensions()
        other = ThreeCxApi(pbx.rest())
        assert (await other.check()).problems == ()
        await other.aclose()
        assert pbx.minted == 1


async def test_a_missing_permission_is_named():
    async with a_pbx() as (pbx, api, _):
        pbx.faults.statuses = [("/callcontrol", 403)]
        (found,) = (await api.check()).problems
        assert "Enterprise" in found
        assert "Call Control API access" in found


async def test_a_dn_that_is_not_there_is_named():
    async with a_pbx() as (pbx, api, _):
        pbx.faults.statuses = [("/callcontrol", 404)]
        (found,) = (await api.check()).problems
        assert "no DN ai" in found


async def test_a_dn_that_is_no_route_point_is_named():
    async with a_pbx() as (pbx, api, _):
        pbx.own.kind = "Wextension"
        (found,) = (await api.check()).problems
        assert "no route point" in found


async def test_a_route_point_without_a_device_is_named():
    async with a_pbx() as (pbx, api, _):
        pbx.own.devices = ()
        (found,) = (await api.check()).problems
        assert "no device" in found


async def test_a_pbx_that_cannot_be_reached_is_named(unused_tcp_port):
    found = await problem(base_url=f"http://127.0.0.1:{unused_tcp_port}")
    assert "cannot be reached" in found


async def test_a_connection_without_tls_is_named():
    async with RudePbx().running() as pbx:
        credentials = ThreeCxCredentials(
            base_url=pbx.url.replace("http", "https"), client_id="ai", client_secret="k"
        )
        api = ThreeCxApi(ThreeCxRest(credentials, MemoryTokens()))
        (found,) = (await api.check()).problems
        await api.aclose()
        assert "not safe" in found


@pytest.mark.parametrize("told", [[{}], [{"dn": "ai", "participants": [{}]}], {}, None])
async def test_what_a_pbx_cannot_have_meant_is_its_fault(told, monkeypatch):
    keys = {"base_url": "https://pbx.example", "client_id": "ai", "client_secret": "k"}
    rest = ThreeCxRest(ThreeCxCredentials.model_validate(keys), MemoryTokens())

    async def answer(_path):
        return told

    monkeypatch.setattr(rest, "get", answer)
    for asked in (CallControl(rest).states(), CallControl(rest).participant("ai", "17")):
        with pytest.raises(ProviderDown):
            await asked
    await rest.aclose()


@pytest.mark.parametrize("head", [b"", b"Content-Encoding: gzip\r\n"])
async def test_an_answer_without_end_is_not_read_to_it(head):
    """From a PBX that is somebody else's: it would take the memory of all calls."""

    async def pour(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + head + b"\r\n")
        with suppress(OSError):
            while True:
                writer.write(b"10000\r\n" + gzip.compress(b"[")[:10] + bytes(65526) + b"\r\n")
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    keys = {"base_url": f"http://127.0.0.1:{port}", "client_id": "ai", "client_secret": "k"}
    rest = ThreeCxRest(ThreeCxCredentials.model_validate(keys), MemoryTokens())
    with pytest.raises(NetworkFailure, match="larger than"):
        await rest.get("/callcontrol")
    await rest.aclose()
    server.close()
    await server.wait_closed()
