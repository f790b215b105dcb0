"""Logging in, and changing over between tenants."""

from django.urls import include, path

from tenants.views import select_operator_tenant, switch_tenant

urlpatterns = [
    path("accounts/", include("allauth.urls")),
    path("accounts/tenant/", switch_tenant, name="switch_tenant"),
    path("admin/tenant/", select_operator_tenant, name="operator_tenant"),
]
