"""Keys by which programs act for a tenant. The secret itself is shown once and never stored."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenants.models.base import TenantModel

_SCHEME = "andrea"
_PREFIX_CHARACTERS = 12
_SECRET_BYTES = 32


def hash_secret(secret: str) -> str:
    """SHA-256 in hex. The secret has 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


def parse_api_key(text: str) -> tuple[str, str] | None:
    """Split `andrea_<prefix>_<secret>` into (prefix, secret); None if it is no such key."""
    scheme, _sep, rest = text.partition("_")
    prefix, _sep, secret = rest.partition("_")
    if scheme != _SCHEME or len(prefix) != _PREFIX_CHARACTERS or not secret:
        return None
    return prefix, secret


class ApiKey(TenantModel):
    """A tenant's key with the scopes (`Permission` values) that it grants."""

    name = models.CharField(_("name"), max_length=100)
    prefix = models.CharField(
        _("prefix"), max_length=_PREFIX_CHARACTERS, unique=True, editable=False
    )
    secret_hash = models.CharField(max_length=64, editable=False)
    scopes = ArrayField(models.CharField(max_length=40), verbose_name=_("scopes"), default=list)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        editable=False,
        verbose_name=_("created by"),
    )
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} ({_SCHEME}_{self.prefix}_…)"

    def draw_secret(self) -> str:
        """Give the key a new prefix and secret; return the whole key, to be shown once."""
        self.prefix = secrets.token_hex(_PREFIX_CHARACTERS // 2)
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        self.secret_hash = hash_secret(secret)
        return f"{_SCHEME}_{self.prefix}_{secret}"

    def opens_with(self, secret: str) -> bool:
        """Whether this is the key's secret, in constant time."""
        return hmac.compare_digest(self.secret_hash, hash_secret(secret))

    def is_usable(self, at: datetime | None = None) -> bool:
        """Whether the key is neither revoked nor expired at that time (default: now)."""
        moment = at or timezone.now()
        return self.revoked_at is None and (self.expires_at is None or moment < self.expires_at)
