"""The back office: one selected tenant at a time, and every look on the record."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from tenants.admin import TenantModelAdmin
from tenants.checks import tenant_models
from tenants.db import tenant_transaction
from tenants.models import ApiKey, AuditEntry, Membership, Role, Tenant, User
from tenants.selectors import api_key_for
from tests.conftest import PASSWORD, log_in
from tests.rows import make_row

pytestmark = pytest.mark.django_db
REGISTERED = [model for model in tenant_models() if admin.site.is_registered(model)]


@pytest.fixture
def office(client, operator, tenant, other_tenant):
    """An operator, logged in, with nothing selected."""
    log_in(client, operator)
    return client


@pytest.fixture
def inside(office, tenant):
    """The same, with `tenant` selected."""
    answer = office.post("/admin/tenant/", {"tenant": tenant.public_id, "next": "/admin/"})
    assert answer.url == "/admin/"
    return office


def trail(tenant) -> list[str]:
    with tenant_transaction(tenant.id):
        return list(AuditEntry.objects.order_by("id").values_list("action", flat=True))


def url(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def test_every_tenant_model_in_the_back_office_is_guarded():
    unguarded = [
        model._meta.label
        for model in REGISTERED
        if not isinstance(admin.site.get_model_admin(model), TenantModelAdmin)
    ]
    assert unguarded == []


def test_checks_need_no_table_for_the_first_migration_runs_them(django_assert_num_queries):
    with django_assert_num_queries(0):
        for model in REGISTERED:
            assert admin.site.get_model_admin(model).check() == []


def actions_of(model_admin):
    """The addresses of a page's own buttons."""
    opts, names = model_admin.opts, model_admin._extract_action_names
    for name in names(model_admin.actions_list):
        yield reverse(f"admin:{opts.app_label}_{opts.model_name}_{name}")
    for name in names([*model_admin.actions_detail, *model_admin.actions_row]):
        yield reverse(f"admin:{opts.app_label}_{opts.model_name}_{name}", args=[1])


def test_an_operator_without_rights_has_none_of_the_buttons_either(client, tenant):
    log_in(client, User.objects.create_user("junior@andrea.example", PASSWORD, is_staff=True))
    assert client.post("/admin/tenant/", {"tenant": tenant.public_id}).status_code == 302
    guarded = [admin.site.get_model_admin(model) for model in REGISTERED]
    addresses = [address for each in guarded for address in actions_of(each)]
    assert reverse("admin:calls_call_place_call") in addresses
    for address in addresses:
        assert (client.get(address).status_code, address) == (403, address)
        assert (client.post(address).status_code, address) == (403, address)
    for each in guarded:
        for name in each.actions:
            assert getattr(each, name).allowed_permissions, f"{each}: {name}"


def test_the_header_offers_every_tenant(office, tenant, other_tenant):
    page = office.get("/admin/").content.decode()
    for each in (tenant, other_tenant):
        assert f'value="{each.public_id}"' in page


@pytest.mark.parametrize("model", [pytest.param(m, id=m._meta.label) for m in REGISTERED])
def test_without_a_tenant_no_list_opens(office, tenant, model):
    with tenant_transaction(tenant.id):
        row = make_row(model)
    for page, args in (("changelist", ()), ("change", (row.pk,)), ("history", (row.pk,))):
        assert office.get(url(model, page, *args)).url == "/admin/"
    assert trail(tenant) == [entry for entry in trail(tenant) if not entry.endswith("viewed")]


@pytest.mark.parametrize("model", [pytest.param(m, id=m._meta.label) for m in REGISTERED])
def test_lists_and_pages_show_the_selected_tenant_only_and_are_audited(
    inside, operator, tenant, other_tenant, model
):
    with tenant_transaction(tenant.id):
        own = make_row(model)
    with tenant_transaction(other_tenant.id):
        foreign = make_row(model)
    listed = inside.get(url(model, "changelist"))
    assert listed.status_code == 200
    assert own in list(listed.context["cl"].result_list)
    assert foreign not in list(listed.context["cl"].result_list)
    assert inside.get(url(model, "change", own.pk)).status_code == 200
    assert inside.get(url(model, "change", foreign.pk)).status_code == 302
    if model is not AuditEntry:
        name = model._meta.model_name
        assert [f"{name}.listed", f"{name}.viewed"] == [
            entry for entry in trail(tenant) if entry in {f"{name}.listed", f"{name}.viewed"}
        ][:2]
        with tenant_transaction(tenant.id):
            entry = AuditEntry.objects.filter(action=f"{name}.listed").get()
        assert (entry.actor, entry.is_operator) == (operator, True)


def test_entering_a_tenant_is_audited_and_leaving_shows_nothing(inside, tenant):
    assert trail(tenant) == ["operator.entered"]
    inside.post("/admin/tenant/", {"tenant": ""})
    assert inside.get(url(Membership, "changelist")).url == "/admin/"


@pytest.mark.parametrize("wanted", ["nonsense", "00000000-0000-4000-8000-000000000000"])
def test_a_tenant_that_does_not_exist_cannot_be_selected(office, wanted):
    assert office.post("/admin/tenant/", {"tenant": wanted}).status_code == 404


def test_somebody_who_stops_being_an_operator_is_out_at_once(inside, operator):
    operator.is_staff = False
    operator.save()
    assert inside.get(url(Membership, "changelist")).status_code in {302, 403}
    assert inside.post("/admin/tenant/", {"tenant": ""}).status_code == 403


def test_changes_are_audited_with_before_and_after(inside, staff, tenant):
    with tenant_transaction(tenant.id):
        place = Membership.objects.get(user=staff)
    inside.post(url(Membership, "change", place.pk), {"user": staff.pk, "role": Role.MANAGER})
    with tenant_transaction(tenant.id):
        assert Membership.objects.get(user=staff).role == Role.MANAGER
        entry = AuditEntry.objects.get(action="membership.changed")
    assert entry.changes == {"role": ["staff", "manager"]}
    assert entry.ip_address == "127.0.0.1"
    assert LogEntry.objects.count() == 0


def test_deletion_is_audited_one_by_one_and_in_bulk(inside, owner, staff, tenant):
    with tenant_transaction(tenant.id):
        places = list(Membership.objects.order_by("pk"))
    inside.post(url(Membership, "delete", places[0].pk), {"post": "yes"})
    data = {"action": "delete_selected", "_selected_action": [places[1].pk], "post": "yes"}
    inside.post(url(Membership, "changelist"), data)
    with tenant_transaction(tenant.id):
        assert not Membership.objects.exists()
    assert trail(tenant).count("membership.deleted") == 2


def test_history_leads_to_the_audit_trail(inside, staff, tenant):
    with tenant_transaction(tenant.id):
        place = Membership.objects.get(user=staff)
    answer = inside.get(url(Membership, "history", place.pk))
    assert answer.url == f"{url(AuditEntry, 'changelist')}?target_id={place.public_id}"
    assert inside.get(answer.url).status_code == 200


def test_a_key_is_shown_once_and_works(inside, tenant, operator):
    form = {"name": "crm", "scopes": ["calls.view"], "expires_at_0": "", "expires_at_1": ""}
    page = inside.post(url(ApiKey, "add"), form)
    assert page.status_code == 200
    assert "no-store" in page["Cache-Control"]
    (text,) = set(re.findall(r"andrea_[0-9a-f]{12}_[\w-]+", page.content.decode()))
    key = api_key_for(text)
    assert key is not None
    assert (key.tenant_id, key.scopes, key.created_by_id) == (
        tenant.id,
        ["calls.view"],
        operator.pk,
    )
    secret = text.split("_", 2)[2]
    for again in (url(ApiKey, "change", key.pk), url(ApiKey, "changelist")):
        assert secret not in inside.get(again).content.decode()
    with tenant_transaction(tenant.id):
        assert secret not in str(list(AuditEntry.objects.values_list("changes", flat=True)))


def test_keys_are_revoked_and_not_deleted(inside, tenant, make_api_key):
    text = make_api_key(tenant, ["calls.view"])
    key = api_key_for(text)
    assert key is not None
    inside.post(url(ApiKey, "changelist"), {"action": "revoke", "_selected_action": [key.pk]})
    assert api_key_for(text) is None
    assert inside.post(url(ApiKey, "delete", key.pk), {"post": "yes"}).status_code == 403
    assert "apikey.changed" in trail(tenant)


def test_the_audit_trail_is_read_only(inside, tenant):
    with tenant_transaction(tenant.id):
        entry = AuditEntry.objects.get()
    assert inside.get(url(AuditEntry, "add")).status_code == 403
    for page in ("change", "delete"):
        assert inside.post(url(AuditEntry, page, entry.pk), {"action": "x"}).status_code == 403
    assert trail(tenant) == ["operator.entered"]


def test_a_tenant_is_made_and_closed_on_its_own_record(office, tenant):
    form = {"name": "New", "slug": "new", "language": "es", "time_zone": "UTC", "is_active": "on"}
    office.post(url(Tenant, "add"), form)
    new = Tenant.objects.get(slug="new")
    form.pop("is_active")
    office.post(url(Tenant, "change", new.pk), form)
    assert trail(new) == ["tenant.created", "tenant.changed"]
    with tenant_transaction(new.id):
        assert AuditEntry.objects.first().changes == {"is_active": [True, False]}
    bad = office.post(url(Tenant, "add"), {**form, "slug": "bad", "time_zone": "Mars/Olympus"})
    assert "Mars/Olympus" in bad.content.decode()
    assert office.post(url(Tenant, "delete", new.pk), {"post": "yes"}).status_code == 403


def test_a_tenant_is_changed_while_another_is_selected(inside, tenant, other_tenant):
    form = {"name": "Rivals", "slug": "rival", "language": "es", "time_zone": "UTC"}
    inside.post(url(Tenant, "change", other_tenant.pk), form)
    assert trail(other_tenant) == ["tenant.changed"]
    assert trail(tenant) == ["operator.entered"]


def test_people_are_made_and_not_deleted(office):
    form = {
        "email": "New@example.org",
        "name": "New",
        "usable_password": "true",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }
    office.post(url(User, "add"), form)
    user = User.objects.get(email="new@example.org")
    assert user.check_password(PASSWORD)
    assert not user.is_staff
    assert office.get(url(User, "change", user.pk)).status_code == 200
    assert office.post(url(User, "delete", user.pk), {"post": "yes"}).status_code == 403


GLOBAL_PAGES = [model for model in admin.site._registry if model not in REGISTERED]


@pytest.mark.parametrize("model", [pytest.param(m, id=m._meta.label) for m in GLOBAL_PAGES])
def test_every_global_list_opens(office, model):
    assert office.get(url(model, "changelist")).status_code == 200
