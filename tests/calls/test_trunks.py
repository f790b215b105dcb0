"""Who holds an account's standing connection: one process, and another when that one is gone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.fernet import Fernet
from django.db import DataError, IntegrityError, OperationalError
from django.db.models import QuerySet
from django.utils import timezone
from redis.exceptions import ConnectionError as RedisAway

from agents.brain.errors import NetworkFailure
from calls.line.live import LiveCalls
from calls.models import Call, CarrierAccount, CarrierEvent, Leg, Utterance
from calls.providers.carriers.bearer import Token
from calls.providers.carriers.signals import Answered, EndCause, Ended
from calls.services import trunks as services
from calls.services.calls import LOST_AFTER, calls_sweep
from calls.services.trunks import Hold, NoLongerHeld, trunk_take, trunk_tell
from calls.trunks import shared
from calls.trunks.desk import Desk
from calls.trunks.keeper import Line, Times
from calls.trunks.shared import Lease, RedisTokens
from tenants.db import lookup, run_in_tenant, run_unscoped, tenant_transaction
from tenants.models import Tenant
from tests.calls.carrier_line import CALLER
from tests.calls.scripted import desk as desk
from tests.calls.scripted import scripted as scripted
from tests.calls.threecx_line import QUICK, threecx_line
from tests.calls.waiting import until
from tests.rows import make_row

pytestmark = pytest.mark.django_db(transaction=True)

AT = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
async def line(desk, quiet, monkeypatch):
    async with threecx_line(desk, quiet, monkeypatch) as threecx:
        yield threecx


@pytest.fixture
async def redis():
    yield
    await shared.close()


# --- the lease ---------------------------------------------------------------------------


async def test_lease_is_one_holders_until_it_lets_go(redis):
    first, second = Lease("a lease"), Lease("a lease")
    assert await first.hold()
    assert await first.hold()
    assert not await second.hold()
    await second.let_go()
    assert not await second.hold()
    await first.let_go()
    assert await second.hold()
    await second.let_go()


async def test_lease_of_a_process_that_died_runs_out(redis, monkeypatch):
    monkeypatch.setattr(shared, "LEASE_SECONDS", 0.05)
    first, second = Lease("a short lease"), Lease("a short lease")
    assert await first.hold()
    await until(second.hold)
    assert not await first.hold()
    await second.let_go()


# --- the token ---------------------------------------------------------------------------


async def test_token_is_known_to_all_processes_as_long_as_it_lives(redis):
    token = Token("a.b.c", 4_000_000_000.0)
    await RedisTokens("threecx").write("a client", token)
    assert await RedisTokens("threecx").read("a client") == token
    assert await RedisTokens("threecx").read("another client") is None


async def test_token_is_sealed_and_one_that_opens_with_no_key_is_none(redis, settings):
    await RedisTokens("threecx").write("a client", Token("a.b.c", 4_000_000_000.0))
    kept = await shared.connection().get(shared.key_of("token", "a client"))
    assert b"a.b.c" not in kept
    settings.SECRETS_KEYS = (Fernet.generate_key().decode(),)
    assert await RedisTokens("threecx").read("a client") is None


async def test_one_process_mints_at_a_time(redis):
    inside, order = asyncio.Event(), []

    async def mint(name: str) -> None:
        async with RedisTokens("threecx").minting("one client"):
            order.append(name)
            inside.set()
            await asyncio.sleep(0.05)
            order.append(name)

    first = asyncio.create_task(mint("first"))
    await inside.wait()
    await asyncio.gather(first, mint("second"))
    assert order == ["first", "first", "second", "second"]


async def test_redis_that_is_away_is_a_failure_of_the_network(redis, monkeypatch):
    async def away(*_arguments, **_keywords):
        raise RedisAway("gone")

    monkeypatch.setattr(shared.connection(), "get", away)
    with pytest.raises(NetworkFailure, match="Redis"):
        await RedisTokens("threecx").read("a client")


# --- the fence ---------------------------------------------------------------------------


@pytest.fixture
def account(tenant):
    with tenant_transaction(tenant.id):
        row = make_row(CarrierAccount, carrier="threecx")
    (found,) = services.trunk_accounts()
    assert found.account_id == row.pk
    return found


def test_process_that_was_replaced_writes_nothing_more(account, tenant):
    with tenant_transaction(tenant.id):
        leg = make_row(Leg, carrier="threecx", carrier_id="1.2.ab", account_id=account.account_id)
        frozen, known = trunk_take(account=account)
        current, _ = trunk_take(account=account)
    assert [each.leg for each in known] == [leg.carrier_id]
    ended = Ended(event_id="1.2.ab:ended", leg="1.2.ab", at=AT, cause=EndCause.COMPLETED)
    with tenant_transaction(tenant.id), pytest.raises(NoLongerHeld):
        trunk_tell(hold=frozen, signal=ended, accepting=True)
    with tenant_transaction(tenant.id):
        leg.refresh_from_db()
        assert (leg.state, CarrierEvent.objects.count()) == ("dialling", 0)
        trunk_tell(hold=current, signal=ended, accepting=True)
        leg.refresh_from_db()
        assert leg.state == "ended"


@pytest.mark.parametrize("refusal", [DataError, IntegrityError])
async def test_what_the_database_refuses_for_good_is_not_insisted_on(account, caplog, refusal):
    line = Line(Hold(account, 1), LiveCalls(), Times(retry=0))
    failures = [OperationalError("it restarts"), refusal("the value is out of range")]

    def work():
        raise failures.pop(0)

    assert await line._insist(work) is None
    assert failures == []
    assert "cannot be kept, ever" in caplog.text


def test_account_that_is_switched_off_is_nobodys(account, tenant):
    with tenant_transaction(tenant.id):
        hold, _ = trunk_take(account=account)
        CarrierAccount.objects.update(is_active=False)
        answered = Answered(event_id="1.2.ab:answered", leg="1.2.ab", at=AT)
        with pytest.raises(NoLongerHeld):
            trunk_tell(hold=hold, signal=answered, accepting=True)
        with pytest.raises(NoLongerHeld):
            trunk_take(account=account)
    assert services.trunk_accounts() == []


def test_accounts_of_all_tenants_are_found_at_once_and_others_are_not_looked_at(
    account, other_tenant, django_assert_num_queries
):
    with tenant_transaction(other_tenant.id):
        theirs = make_row(CarrierAccount, carrier="threecx")
        make_row(CarrierAccount, carrier="telnyx")
        make_row(CarrierAccount, carrier="threecx", is_active=False)
    with django_assert_num_queries(5):  # one, its savepoint, and a setting before and after it
        found = services.trunk_accounts()
    assert [each.account_id for each in found] == [account.account_id, theirs.pk]
    Tenant.objects.filter(pk=other_tenant.pk).update(is_active=False)
    assert services.trunk_accounts() == [account]


def test_finding_the_accounts_opens_no_other_carriers_and_changes_none(account, other_tenant):
    with tenant_transaction(other_tenant.id):
        make_row(CarrierAccount, carrier="telnyx")
    with lookup(CarrierAccount, "carrier", "threecx") as rows:
        assert [row.pk for row in rows] == [account.account_id]
        assert rows.update(is_active=False) == 0
        everything = QuerySet(CarrierAccount).values_list("carrier", flat=True)
        assert list(everything) == ["threecx"]


def test_another_tenants_account_cannot_be_taken(account, other_tenant):
    with tenant_transaction(other_tenant.id), pytest.raises(NoLongerHeld):
        trunk_take(account=replace(account, tenant_id=other_tenant.id))


# --- several processes -------------------------------------------------------------------


async def test_second_process_waits_and_takes_over_what_the_first_leaves(line, quiet):
    second = Desk(quiet, QUICK)
    second.begin()
    try:
        await asyncio.sleep(0.3)
        assert (len(line.trunks.held), second.held) == (1, [])
        party = await line.dialled()
        line.trunks.retire()
        await until(lambda: second.held)
        await until(lambda: line.rows(Utterance, role="agent"))
        assert (await line.call(state="live")).streams == 1  # the first sees its call through
        line.pbx.leave(party)
        assert (await line.call(state="ended")).end_reason == "caller_hung_up"
        await until(lambda: line.rows(Leg, state="ended"))
        again = line.pbx.ring(CALLER, line.desk.number)
        await until(lambda: again.played.stretches)
        line.pbx.leave(again)
        await until(lambda: line.rows(Call, state="ended", from_number=CALLER))
        await until(lambda: not len(quiet))
    finally:
        await second.end()


async def test_call_whose_process_died_goes_on_in_another(line, quiet):
    party = await line.dialled()
    call = await line.call(state="live")
    await until(lambda: line.rows(Utterance, role="agent"))

    def long_ago():
        calls_sweep(now=timezone.now() + 2 * LOST_AFTER)

    for running in asyncio.all_tasks():
        if running.get_name() == f"call {call.public_id}":
            running.cancel()
    await until(lambda: not len(quiet))
    await run_in_tenant(line.desk.tenant.id, long_ago)
    await line.heard_again(party)
    assert (await line.call(state="live")).streams == 2
    line.pbx.leave(party)
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"


async def test_keys_that_open_nothing_are_tried_again_and_hold_no_other_account_up(
    line, other_tenant, quiet
):
    def broken():
        make_row(CarrierAccount, carrier="threecx")

    await run_in_tenant(other_tenant.id, broken)
    wanted = await run_unscoped(services.trunk_accounts)
    assert len(wanted) == 2
    await asyncio.sleep(0.5)
    assert [account.account_id for account in line.trunks.held] == [line.account.pk]
