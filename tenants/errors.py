"""What can be wrong with tenancy, one class per cause."""

from __future__ import annotations


class TenancyError(Exception):
    """Any breach of tenancy. Never shown to a user as it is."""


class NoTenant(TenancyError):
    """Tenant data was touched while no tenant is current."""

    def __init__(self, what: str = "tenant data") -> None:
        super().__init__(
            f"No tenant is current, so {what} cannot be reached. "
            "Enter one with tenant_transaction() or run_in_tenant()."
        )


class WrongTenant(TenancyError):
    """An object, or a block of code, belongs to another tenant than the current one."""

    def __init__(self, what: str, *, wanted: int | None, current: int | None) -> None:
        super().__init__(f"{what} belongs to tenant {wanted}, but the current tenant is {current}.")
