"""Tenants' accounts at carriers: their keys are entered, checked, and never shown again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from pydantic import SecretStr, ValidationError

from calls.jsontext import clean
from calls.models import CarrierAccount
from calls.providers.carriers.carrier import Carrier
from calls.providers.carriers.port import Checked
from calls.providers.carriers.registry import carrier
from calls.wording import faults_in, storable

REFUSALS_TOGETHER = timedelta(seconds=30)
_SHOWN = 4  # characters at a key's end, by which its owner knows it
_LONG_ENOUGH = 3 * _SHOWN  # of a shorter key they would be too much of it


class UnfitKeys(ValueError):
    """What was entered cannot be an account's keys; `problems` says why, field by field."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in problems.items()))
        self.problems = problems


def secret_fields(entry: Carrier) -> frozenset[str]:
    """Those of the carrier's credentials that are never shown."""
    fields = entry.credentials.model_fields.items()
    return frozenset(name for name, field in fields if field.annotation is SecretStr)


def account_set_keys(*, account: CarrierAccount, entered: Mapping[str, str]) -> None:
    """Take over what was entered; a secret that was left empty stays as it is.

    Saves nothing. Raises UnfitKeys and CannotUnseal.
    """
    entry = carrier(account.carrier)
    secrets = secret_fields(entry)
    before = account.credentials()
    kept = {name: text for name, text in before.items() if name in secrets}
    values = {**kept, **{name: text for name, text in entered.items() if text}}
    try:
        credentials = entry.credentials.model_validate(values)
    except ValidationError as error:
        raise UnfitKeys(faults_in(error)) from None
    if values == before:
        return
    account.set_credentials(values)
    account.external_id = entry.external_id(credentials)[:200]
    changed = {name for name, text in entered.items() if text}
    account.hint = _hint(values, account.hint, secrets, changed=changed)
    account.checked_at, account.checked_name, account.problems = None, "", []
    account.refused_at, account.refused_why = None, ""


def account_checked(*, account_id: int, found: Checked) -> None:
    """Note what the carrier said of the account."""
    CarrierAccount.objects.filter(pk=account_id).update(
        checked_at=timezone.now(),
        checked_name=found.account[:200],
        problems=[clean(storable(problem)) for problem in found.problems],
    )


def account_refused(*, account_id: int, why: str) -> None:
    """Note that a webhook at the account's address was not signed with its key.

    Anybody may send as many as they like: of those that come together, the first is noted.
    """
    now = timezone.now()
    before = Q(refused_at=None) | Q(refused_at__lt=now - REFUSALS_TOGETHER)
    CarrierAccount.objects.filter(before, pk=account_id).update(
        refused_at=now, refused_why=why[:200]
    )


def account_check_on_commit(account: CarrierAccount) -> None:
    """Have a worker ask the carrier who we are there: no network inside a transaction."""
    from calls.tasks import check_account

    tenant_id, account_id = account.tenant_id, account.pk
    transaction.on_commit(lambda: check_account.delay(tenant_id, account_id), robust=True)


def _hint(
    values: Mapping[str, str],
    before: Mapping[str, Any],
    secrets: frozenset[str],
    *,
    changed: set[str],
) -> dict[str, Any]:
    """What may be shown: of a secret its end and its day, anything else as it is."""
    today: date = timezone.now().date()
    shown: dict[str, Any] = {}
    for name, text in values.items():
        if name not in secrets:
            shown[name] = text
        elif name in before and name not in changed:
            shown[name] = before[name]
        else:
            last = text[-_SHOWN:] if len(text) >= _LONG_ENOUGH else ""
            shown[name] = {"last": last, "set_on": today.isoformat()}
    return shown
