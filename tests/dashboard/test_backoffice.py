"""The back office's menu and its tenant selector."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import translation

from dashboard import backoffice
from tenants.models import Tenant, User

Login = Callable[[User], Client]


def menu_for(user: User) -> dict[str, list[str]]:
    request = RequestFactory().get("/admin/")
    request.user = user
    request.tenant = None  # type: ignore[attr-defined]
    with translation.override("en"):
        return {
            str(group["title"]): [page["link"] for page in group["items"]]
            for group in backoffice.navigation(request)
        }


def test_every_page_of_the_back_office_is_in_the_menu(operator: User) -> None:
    links = [link for group in menu_for(operator).values() for link in group]
    registered = [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model in admin.site._registry
    ]
    assert registered
    assert sorted(links) == sorted(registered)


def test_the_menu_names_no_model_that_is_not_there() -> None:
    named = {label for _title, icons in backoffice.GROUPS for label in icons}
    assert named <= {model._meta.label for model in admin.site._registry}


def test_a_model_that_no_group_names_is_still_in_the_menu(
    operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoffice, "GROUPS", backoffice.GROUPS[:1])
    menu = menu_for(operator)
    assert list(menu) == ["Agents", "More"]
    assert reverse("admin:tenants_user_changelist") in menu["More"]


def test_the_tenant_is_chosen_on_every_page_and_lists_stay_where_they_are(
    operator: User, tenant: Tenant, login: Login
) -> None:
    client = login(operator)
    page = client.get(reverse("admin:index")).content.decode()
    assert "tenant-selector--none" in page
    chosen = {"tenant": str(tenant.public_id), "next": reverse("admin:agents_agent_changelist")}
    response = client.post(reverse("operator_tenant"), chosen)
    assert response["Location"] == chosen["next"]
    page = client.get(chosen["next"]).content.decode()
    assert f'<option value="{tenant.public_id}" selected>' in page
    assert f'name="next"\n           value="{chosen["next"]}"' in page
    assert "tenant-selector--none" not in page


def test_a_persons_page_is_in_spanish_where_the_library_has_none(
    operator: User, login: Login
) -> None:
    address = reverse("admin:tenants_user_change", args=[operator.pk])
    page = login(operator).get(address, headers={"accept-language": "es"}).content.decode()
    assert "Las contraseñas no se guardan tal cual" in page
    assert "Identificador público" in page
    assert str(operator.public_id) in page
