import pytest
from django.db import connection

from tenants.db import run_in_tenant, tenant_by_key, tenant_transaction
from tenants.errors import NoTenant
from tenants.models import ApiKey, Membership


def test_tests_run_as_the_restricted_role(db):
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == (False, False)
        cursor.execute("SELECT count(*) FROM pg_tables WHERE tableowner = current_user")
        assert cursor.fetchone() == (0,)


def test_outside_a_tenant_nothing_can_be_asked(owner):
    with pytest.raises(NoTenant):
        Membership.objects.exists()


def test_members_are_seen_inside_their_tenant_only(tenant, owner, staff, outsider):
    with tenant_transaction(tenant.id):
        assert {row.user for row in Membership.objects.all()} == {owner, staff}


def test_a_key_leads_to_its_tenant(tenant, make_api_key):
    prefix = make_api_key(tenant, []).split("_")[1]
    assert tenant_by_key(ApiKey, prefix) == tenant.id
    assert tenant_by_key(ApiKey, "000000000000") is None


@pytest.mark.django_db(transaction=True)
async def test_the_bridge_reads_inside_its_tenant(tenant, owner):
    assert await run_in_tenant(tenant.id, Membership.objects.count) == 1


@pytest.mark.django_db(transaction=True)
def test_a_transactional_test_leaves_nothing_behind(tenant):
    assert tenant.id == 1
