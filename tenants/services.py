"""Writing: keys, members, and the switch from one tenant to the next."""

from __future__ import annotations

from django.utils import timezone

from tenants.models import ApiKey


def touch_key(key: ApiKey, *, every_seconds: int = 60) -> None:
    """Note that the key was used, at most once in a while, so that reading stays reading."""
    now = timezone.now()
    if key.last_used_at is None or (now - key.last_used_at).total_seconds() >= every_seconds:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
