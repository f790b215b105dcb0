"""Secrets of tenants, encrypted before they reach the database.

Fernet (AES-128-CBC with HMAC-SHA256) from the `cryptography` library. A sealed value carries its
tenant inside, so that one copied into another tenant's row opens nothing. The first of
`settings.SECRETS_KEYS` seals, all of them open: put a new key first, run `manage.py
reseal_secrets`, then take the old one away.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

from tenants.errors import TenancyError

if TYPE_CHECKING:
    _TextField = models.TextField[str, str]
else:
    _TextField = models.TextField


class CannotUnseal(TenancyError):
    """A sealed value was made with another key, for another tenant, or was altered."""


class SealedField(_TextField):
    """A column for what `seal` returns. Never in a form; `reseal_secrets` finds it by its type."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["editable"] = False
        kwargs.setdefault("blank", True)
        super().__init__(*args, **kwargs)


def seal(values: Mapping[str, str], *, tenant_id: int) -> str:
    """Encrypt a tenant's secrets."""
    content = json.dumps({"tenant": tenant_id, "values": dict(values)})
    return _fernet().encrypt(content.encode()).decode()


def unseal(sealed: str, *, tenant_id: int) -> dict[str, str]:
    """What was sealed for this tenant; an empty text holds nothing. Raises CannotUnseal."""
    if not sealed:
        return {}
    try:
        content = json.loads(_fernet().decrypt(sealed.encode()))
    except InvalidToken:
        raise CannotUnseal(
            "A stored secret opens with none of SECRETS_KEYS. "
            "Put back the key that sealed it, or enter the secret again."
        ) from None
    if content["tenant"] != tenant_id:
        raise CannotUnseal(f"A stored secret belongs to another tenant than {tenant_id}.")
    values: dict[str, str] = content["values"]
    return values


def reseal(sealed: str) -> str:
    """The same secrets under the first key. Raises CannotUnseal."""
    try:
        return _fernet().rotate(sealed.encode()).decode()
    except InvalidToken:
        raise CannotUnseal("A stored secret opens with none of SECRETS_KEYS.") from None


def _fernet() -> MultiFernet:
    keys: tuple[str, ...] = tuple(settings.SECRETS_KEYS)
    return _fernet_of(keys)


@lru_cache(maxsize=4)
def _fernet_of(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
