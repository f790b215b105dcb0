"""Logging in: allauth's flows by e-mail address, django-axes' count of wrong guesses."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.http import HttpRequest
from django.utils.encoding import force_bytes

from tenants.client_ip import client_ip


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Accounts are given by a tenant's owner or an operator; nobody signs up by themselves."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Only where the installation says so."""
        return bool(getattr(settings, "OPEN_SIGNUP", False))

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address that rate limits count by."""
        return client_ip(request) or "unknown"


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Keeps TOTP seeds and recovery codes encrypted, with a key drawn from SECRET_KEY."""

    def encrypt(self, text: str) -> str:
        """What goes into the database."""
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Raises cryptography's InvalidToken when SECRET_KEY changed without a fallback."""
        return _cipher().decrypt(encrypted_text.encode()).decode()


def _cipher() -> MultiFernet:
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = [hashlib.sha256(b"andrea.mfa:" + force_bytes(secret)).digest() for secret in secrets]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])


def attempted_login(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """Whose password is being guessed, for axes: the e-mail address in one spelling."""
    given = credentials or {}
    name = given.get("email") or given.get("username") or request.POST.get("login", "")
    return str(name).strip().lower()


def axes_client_ip(request: HttpRequest) -> str | None:
    """The guesser's address, for axes."""
    return client_ip(request)
