"""Reading carrier accounts. All run inside the tenant's context."""

from __future__ import annotations

from calls.models import CarrierAccount, CarrierEvent


def is_refused(account: CarrierAccount) -> bool:
    """Whether the last webhook at the account's address was not signed with its key."""
    if account.refused_at is None:
        return False
    accepted = CarrierEvent.objects.filter(account=account, received_at__gt=account.refused_at)
    return not accepted.exists()
