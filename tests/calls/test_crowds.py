"""Many sockets that say nothing, or one person with many calls, keep nobody else out."""

from __future__ import annotations

import asyncio
import gc
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from django.utils import timezone

from calls import consumers
from calls.carriers.tokens import widget_token
from calls.line.live import LiveCalls
from calls.line.lobby import Lobby, NoRoom, Seat
from calls.models import Call
from calls.providers.carriers.socket import DEFAULT_LIMITS, Limits
from calls.providers.carriers.twilio.carrier import CARRIER
from config.asgi import application
from tenants.client_ip import socket_ip
from tenants.db import run_in_tenant
from tests.calls.conftest import staff_desk
from tests.calls.phone import BROWSER, QUICK, TWILIO, Phone, on_a_script
from tests.calls.sockets import Socket, connected
from tests.calls.waiting import until
from tests.conftest import log_in

SID = "CA" + "1" * 32
CROWD = 1000
TRANSCRIBER = {"provider": "embedded", "languages": ["es-MX"], "turns": QUICK}
START = {"type": "start", "sample_rate": 16000}


@pytest.fixture
def desk(tenant, monkeypatch, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    on_a_script(monkeypatch)
    return staff_desk(tenant, "+525512340001", transcriber=TRANSCRIBER)


# --- places -----------------------------------------------------------------------------------


async def silent(lobby: Lobby, address: str, order: list[str], name: str) -> None:
    try:
        with lobby.seat(address) as seat:
            async with seat.idle():
                order.append(f"{name} in")
                await asyncio.Event().wait()
    except NoRoom:
        order.append(f"{name} out")


@pytest.mark.parametrize(
    ("addresses", "leaves"),
    [(("a", "a", "a"), "0"), (("b", "a", "a", "a"), "1"), (("a", "b", "c", "d", "e"), "0")],
    ids=["one address is full", "its own oldest, not another's", "all are full"],
)
async def test_longest_silent_socket_makes_room(addresses, leaves):
    lobby, order = Lobby(most=4, most_of_one=2), []
    tasks = []
    for name, address in enumerate(addresses):
        tasks.append(asyncio.create_task(silent(lobby, address, order, str(name))))
        await asyncio.sleep(0)
    await until(lambda: f"{leaves} out" in order)
    assert [line for line in order if line.endswith("out")] == [f"{leaves} out"]
    assert len(lobby) == len(addresses) - 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (len(lobby), dict(lobby._of)) == (0, {})


async def test_socket_that_is_being_let_in_is_not_crowded_out():
    lobby = Lobby(most=1, most_of_one=1)
    with lobby.seat("a") as first:
        async with first.idle():
            pass
        with pytest.raises(NoRoom), lobby.seat("a"):
            pass
        first.leave()
        with lobby.seat("a"):
            assert len(lobby) == 1
    assert len(lobby) == 0


async def test_time_limit_of_the_other_side_stays_its_own():
    with Lobby(most=1, most_of_one=1).seat("a") as seat:
        with pytest.raises(TimeoutError):
            async with seat.idle():
                raise TimeoutError


@pytest.mark.parametrize(
    ("proxies", "forwarded", "seen"),
    [
        (0, b"6.6.6.6", "127.0.0.1"),
        (1, b"1.1.1.1, 6.6.6.6", "6.6.6.6"),
        (2, b"6.6.6.6", "127.0.0.1"),
        (1, b"nonsense", None),
    ],
)
def test_address_of_a_socket_is_the_one_that_our_proxy_saw(settings, proxies, forwarded, seen):
    settings.TRUSTED_PROXY_COUNT = proxies
    scope = {"client": ["127.0.0.1", 1234], "headers": [(b"X-Forwarded-For", forwarded)]}
    assert socket_ip(scope) == seen


def test_socket_without_an_address_is_counted_with_its_like():
    assert socket_ip({"client": None, "headers": []}) is None


def test_start_is_waited_for_no_longer_than_five_seconds():
    assert DEFAULT_LIMITS.start_seconds == 5


# --- a crowd ----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("spread", [False, True], ids=["one address", "many addresses"])
async def test_thousand_silent_sockets_keep_no_call_out_and_leave_nothing(
    desk, ring, quiet, monkeypatch, spread
):
    monkeypatch.setattr(quiet, "lobby", Lobby(most=100, most_of_one=80))
    # pytest keeps what is logged, and with it the exceptions and their frames
    monkeypatch.setattr(consumers.log, "disabled", True)
    gc.collect()
    before = len(asyncio.all_tasks())
    crowd = await gather_crowd(spread)
    token = ElementTree.fromstring((await ring(desk.number)).content)  # noqa: S314
    phone = Phone(application)
    phone.start(SID, token.find("Connect/Stream/Parameter").get("value"))
    await phone.hears()
    assert len(quiet.lobby) <= 100
    phone.stop()
    assert (await phone.over())["code"] == 1000
    for task, socket in crowd:
        socket.disconnect()
        await task
    closed = [socket.close["code"] for _, socket in crowd if socket.close]
    assert len(closed) >= CROWD - 100
    assert set(closed) == {4429}
    del crowd, phone, task, socket
    await asyncio.sleep(0)
    gc.collect()
    assert len(quiet.lobby) == 0
    assert len(asyncio.all_tasks()) == before
    kinds = (Seat, consumers.MediaConsumer)
    assert [each for each in gc.get_objects() if issubclass(type(each), kinds)] == []


async def gather_crowd(spread: bool) -> list[tuple[asyncio.Task[None], Socket]]:
    """Sockets that were accepted and say nothing more."""
    crowd = []
    for number in range(CROWD):
        socket = Socket()
        socket.connect()
        socket.put(connected())
        address = f"10.0.{number // 250}.{number % 250}" if spread else "10.0.0.1"
        scope: Any = {"type": "websocket", "path": TWILIO, "headers": [], "client": [address, 1]}
        task = asyncio.create_task(application(scope, socket.receive, socket.send))
        crowd.append((task, socket))
    await asyncio.sleep(0.05)
    return crowd


async def test_silent_sockets_are_closed_when_their_time_is_up(quiet):
    route = consumers.StreamConsumer.as_asgi(door=CARRIER.media, limits=Limits(start_seconds=0.05))
    phones = [Phone(route) for _ in range(50)]
    assert {(await phone.over())["code"] for phone in phones} == {4408}
    assert len(quiet.lobby) == 0


def test_places_follow_what_the_process_can_take():
    calls = LiveCalls(10)
    assert (calls.lobby.most, calls.lobby.most_of_one) == (30, 10)


# --- one person's calls -----------------------------------------------------------------------


def page(desk, *, cookie=None) -> Phone:
    query = (
        f"agent={desk.agent.public_id}" if cookie else f"token={widget_token(desk.agent.public_id)}"
    )
    phone = Phone(application, BROWSER, f"client=browser&{query}", (cookie,) if cookie else ())
    phone.socket.put(START)
    return phone


async def ready(phone: Phone) -> Phone:
    await phone.until(lambda message: message["type"] == "ready")
    return phone


async def refusal(phone: Phone) -> tuple[int, str]:
    close = await phone.over()
    assert close is not None
    (problem,) = [text for text in phone.socket.texts if text["type"] == "error"]
    return close["code"], problem["code"]


async def hang_up(*phones: Phone) -> None:
    for phone in phones:
        phone.socket.put({"type": "hangup"})
        await phone.over()


@pytest.fixture
def cookie(client, settings, staff):
    log_in(client, staff)
    name = settings.SESSION_COOKIE_NAME
    return (b"cookie", f"{name}={client.cookies[name].value}".encode())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("who", ["user", "widget"])
async def test_one_persons_pages_have_so_many_calls_at_a_time(desk, quiet, settings, cookie, who):
    settings.PAGE_CALLS_PER_USER = settings.PAGE_CALLS_PER_WIDGET = 2
    mine = cookie if who == "user" else None
    pages = [await ready(page(desk, cookie=mine)) for _ in range(2)]
    assert await refusal(page(desk, cookie=mine)) == (4429, "too_many_calls")
    other = await ready(page(desk, cookie=None if mine else cookie))  # has a count of its own
    await hang_up(pages.pop())
    pages.append(await ready(page(desk, cookie=mine)))
    await hang_up(other, *pages)


@pytest.mark.django_db(transaction=True)
async def test_pages_that_call_at_the_same_time_are_counted_too(desk, quiet, settings):
    settings.PAGE_CALLS_PER_WIDGET = 2
    pages = [page(desk) for _ in range(6)]
    await until(lambda: sum(phone.task.done() for phone in pages) == 4)
    talking = [phone for phone in pages if not phone.task.done()]
    for phone in talking:
        await ready(phone)
    assert await run_in_tenant(desk.tenant.id, Call.objects.count) == 2
    await hang_up(*talking)


@pytest.mark.django_db(transaction=True)
async def test_calls_of_a_server_that_died_do_not_count(desk, quiet, settings):
    settings.PAGE_CALLS_PER_WIDGET = 1
    first = await ready(page(desk))
    long_ago = timezone.now() - timedelta(minutes=1)
    await run_in_tenant(desk.tenant.id, lambda: Call.objects.update(heartbeat_at=long_ago))
    second = await ready(page(desk))
    await hang_up(first, second)
