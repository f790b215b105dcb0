"""The back office's pages of tenants, people, keys and the audit trail."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin

from tenants.admin import global_models, tenant_models
from tenants.admin.base import TenantModelAdmin

__all__ = ["TenantModelAdmin", "global_models", "tenant_models"]

# One way to log in, with its limits and its second factor, for the back office as well.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
