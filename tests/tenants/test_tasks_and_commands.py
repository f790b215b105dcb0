"""Background work and the command line name their tenant."""

from __future__ import annotations

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.core.management import CommandError, call_command
from django.db import connection

from tenants.context import maybe_tenant_id, use_tenant
from tenants.db import tenant_transaction
from tenants.errors import WrongTenant
from tenants.management.base import TenantCommand
from tenants.models import ApiKey, Membership
from tenants.tasks import in_each_tenant, tenant_task
from tests.rows import make_row


@tenant_task(name="tests.count_members")
def count_members(tenant_id: int, extra: int = 0) -> int:
    assert maybe_tenant_id() == tenant_id
    return Membership.objects.count() + extra


@tenant_task(name="tests.write_and_fail")
def write_and_fail(_tenant_id: int) -> None:
    make_row(ApiKey)
    raise RuntimeError("broken")


@tenant_task(name="tests.long", atomic=False)
def long_work(tenant_id: int) -> tuple[bool, int]:
    inside = connection.in_atomic_block
    with tenant_transaction(tenant_id):
        return inside, Membership.objects.count()


def test_a_task_runs_inside_its_tenant(tenant, owner, staff, outsider):
    assert count_members(tenant.id) == 2
    assert count_members.delay(tenant.id, extra=5).result == 7
    assert maybe_tenant_id() is None


def test_one_tenants_defect_keeps_no_other_waiting(tenant, other_tenant, caplog):
    asked = []

    def work(tenant_id):
        asked.append(tenant_id)
        if len(asked) == 1:  # whichever it is
            raise RuntimeError("broken")
        return 3

    assert in_each_tenant(work) == 3
    assert sorted(asked) == [tenant.id, other_tenant.id]
    assert f"tenant {asked[0]}: " in caplog.text


def test_a_task_that_has_to_end_goes_to_no_further_tenant(tenant, other_tenant):
    asked = []

    def work(tenant_id):
        asked.append(tenant_id)
        raise SoftTimeLimitExceeded

    with pytest.raises(SoftTimeLimitExceeded):
        in_each_tenant(work)
    assert len(asked) == 1


@pytest.mark.parametrize("wrong", [None, "1", True, 1.0])
def test_a_task_without_a_tenant_does_not_run(db, wrong):
    with pytest.raises(TypeError, match="count_members wants a tenant's id"):
        count_members(wrong)


def test_a_failed_task_leaves_nothing(tenant):
    with pytest.raises(RuntimeError):
        write_and_fail.delay(tenant.id)
    with tenant_transaction(tenant.id):
        assert not ApiKey.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_long_work_holds_no_transaction_and_has_its_tenant(tenant, owner):
    assert long_work.delay(tenant.id).result == (False, 1)


@pytest.mark.parametrize("task", [count_members, long_work])
def test_a_task_of_another_tenant_does_not_run_inside_ours(tenant, other_tenant, task):
    with use_tenant(tenant.id), pytest.raises(WrongTenant):
        task(other_tenant.id)


def test_tasks_are_acknowledged_late():
    assert count_members.acks_late is True


class CountCommand(TenantCommand):
    """What a command of ours looks like."""

    def handle_tenant(self, tenant, *args, **options):
        return f"{tenant.slug}: {Membership.objects.count()}"


def test_a_command_works_in_the_tenant_that_it_is_given(tenant, owner, outsider, capsys):
    assert call_command(CountCommand(), tenant="spirit") == "spirit: 1"


def test_a_command_for_an_unknown_tenant_says_which_there_are(tenant, other_tenant):
    with pytest.raises(CommandError, match=r"no tenant “nope”\. Known: rival, spirit"):
        call_command(CountCommand(), tenant="nope")


def test_a_command_without_a_tenant_does_not_run(db):
    with pytest.raises(CommandError, match="--tenant"):
        call_command(CountCommand())
