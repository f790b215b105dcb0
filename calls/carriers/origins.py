"""Whose account a webhook's address belongs to, and what of ours it names."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace

from calls.carriers.installation import installation_keys
from calls.models import Call, CarrierAccount, Direction, Leg, Message
from tenants.db import tenant_by_key, tenant_transaction


class NobodysAddress(LookupError):
    """No account and no call of ours has this address."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Which account an address belongs to, with its keys, and what of ours it names.

    The installation's own account has no id, and its events no tenant yet.
    """

    carrier: str
    keys: dict[str, str] = field(repr=False)
    tenant_id: int | None = None
    account_id: int | None = None
    call_id: int | None = None
    message_id: int | None = None
    call: uuid.UUID | None = None


def origin_of(
    carrier_name: str,
    account: uuid.UUID | None = None,
    call: uuid.UUID | None = None,
    message: uuid.UUID | None = None,
) -> Origin:
    """Whose address this is. Raises NobodysAddress and CannotUnseal."""
    if account is not None:
        tenant_id = tenant_by_key(CarrierAccount, account)
        if tenant_id is None:
            raise NobodysAddress(f"there is no account {account}")
        with tenant_transaction(tenant_id):
            row = CarrierAccount.objects.get(public_id=account)
            return _of_account(carrier_name, row)
    if call is not None:
        tenant_id = tenant_by_key(Call, call)
        if tenant_id is None:
            raise NobodysAddress(f"there is no call {call}")
        with tenant_transaction(tenant_id):
            return replace(_of_call(carrier_name, call, tenant_id), call=call)
    if message is not None:
        tenant_id = tenant_by_key(Message, message)
        if tenant_id is None:
            raise NobodysAddress(f"there is no message {message}")
        with tenant_transaction(tenant_id):
            return _of_message(carrier_name, message)
    return Origin(carrier_name, dict(installation_keys(carrier_name)))


def _of_account(carrier_name: str, row: CarrierAccount, call_id: int | None = None) -> Origin:
    if row.carrier != carrier_name or not row.is_active:
        raise NobodysAddress(f"account {row.public_id} is switched off, or not at {carrier_name}")
    return Origin(carrier_name, row.credentials(), row.tenant_id, row.pk, call_id)


def _of_call(carrier_name: str, public_id: uuid.UUID, tenant_id: int) -> Origin:
    """A call's legs that we made are at the account of its customer's leg."""
    leg = (
        Leg.objects.select_related("account")
        .filter(call__public_id=public_id, carrier=carrier_name, role=Leg.Role.CUSTOMER)
        .first()
    )
    if leg is None:
        raise NobodysAddress(f"call {public_id} is not at {carrier_name}")
    if leg.account is not None:
        return _of_account(carrier_name, leg.account, leg.call_id)
    keys = dict(installation_keys(carrier_name))
    return Origin(carrier_name, keys, tenant_id, None, leg.call_id)


def _of_message(carrier_name: str, public_id: uuid.UUID) -> Origin:
    row: Message = Message.objects.select_related("account").get(public_id=public_id)
    if row.carrier != carrier_name or row.direction != Direction.OUTBOUND:
        raise NobodysAddress(f"message {public_id} was not sent by {carrier_name}")
    if row.account is not None:
        return replace(_of_account(carrier_name, row.account), message_id=row.pk)
    keys = dict(installation_keys(carrier_name))
    return Origin(carrier_name, keys, row.tenant_id, None, message_id=row.pk)
