"""The installation's own accounts at carriers.

A machine without one still takes signed calls, from its own simulated carriers alone: only who
holds SECRET_KEY can sign as they do.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings

from agents.brain.errors import BadKey
from calls.providers.carriers.registry import carrier


def installation_keys(name: str) -> Mapping[str, str]:
    """What the carrier's credentials are made of, for calls that no tenant's account has."""
    simulated = carrier(name).simulated
    if simulated is None:
        raise BadKey(
            name, "the installation has no account there: give the number a carrier account"
        )
    return {**simulated.keys(settings.SECRET_KEY), **_configured(name)}


def installation_account(name: str) -> str:
    """The carrier's own name for the installation's account; empty for the simulated one."""
    if not _configured(name):
        return ""
    entry = carrier(name)
    return entry.external_id(entry.credentials.model_validate(dict(installation_keys(name))))


def installation_records(name: str) -> bool:
    """Whether the carrier is to record the calls of the installation's account."""
    return bool(getattr(settings, f"{name.upper()}_RECORD_CALLS", False))


def api_url(name: str, *, installation: bool) -> str:
    """Where the carrier's API is; empty: where its own adapter knows it.

    The installation's calls go to the simulated carrier as long as it has no account of its own.
    """
    told = str(getattr(settings, f"{name.upper()}_BASE_URL", ""))
    simulated = carrier(name).simulated
    if told or not installation or simulated is None or _configured(name):
        return told
    return simulated.api_url


def _configured(name: str) -> Mapping[str, str]:
    """The credentials that are set for the installation: `NAME_FIELD` each."""
    fields = carrier(name).credentials.model_fields
    found = {field: str(getattr(settings, f"{name}_{field}".upper(), "")) for field in fields}
    return {field: value for field, value in found.items() if value}
