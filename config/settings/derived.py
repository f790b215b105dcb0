"""What Django wants to know, taken out of addresses and of the environment."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from calls.providers.carriers.webrtc.ice import IceOptions
from calls.providers.provider import Credentials
from config.settings.env import Environment


def database(url: str) -> dict[str, Any]:
    """A Django DATABASES entry from a postgresql:// URL (host may be a socket folder)."""
    parts = urlsplit(url)
    query = {key: values[0] for key, values in parse_qs(parts.query).items()}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or query.pop("host", ""),
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": "5", **query},
    }


def pooled(entry: dict[str, Any], connections: int) -> dict[str, Any]:
    """The same entry with up to so many connections shared by a process's threads.

    An ASGI server answers each request in a new thread. Without a pool each would open its
    own connection: 11 ms here, against 0.05 ms.
    """
    pool = {"min_size": 0, "max_size": connections, "timeout": 5}
    return {**entry, "OPTIONS": {**entry["OPTIONS"], "pool": pool}}


def broker(redis_url: str) -> str:
    """Celery's spelling of a Redis address."""
    return redis_url.replace("unix://", "redis+socket://", 1)


def sealing_key(secret_key: str) -> str:
    """A key for tenants' secrets out of Django's own, for a machine that was given none."""
    kdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"tenants.sealing")
    return base64.urlsafe_b64encode(kdf.derive(secret_key.encode())).decode()


def host(url: str) -> str:
    """The host name of an address."""
    return urlsplit(url).hostname or ""


def credentials(env: Environment) -> Credentials:
    """The speech vendors' keys and addresses."""
    return Credentials(
        azure_key=env.AZURE_SPEECH_KEY,
        azure_region=env.AZURE_SPEECH_REGION,
        azure_endpoint=env.AZURE_SPEECH_HOST,
        groq_key=env.GROQ_API_KEY,
        groq_base_url=env.GROQ_BASE_URL,
        elevenlabs_key=env.ELEVENLABS_API_KEY,
        elevenlabs_base_url=env.ELEVENLABS_BASE_URL,
        openai_audio_key=env.OPENAI_AUDIO_API_KEY,
        openai_audio_base_url=env.OPENAI_AUDIO_BASE_URL,
    )


def ice(env: Environment) -> IceOptions:
    """How pages connect over WebRTC."""
    return IceOptions(
        enabled=env.WEBRTC_ENABLED,
        stun_urls=env.WEBRTC_STUN_URLS,
        turn_urls=env.WEBRTC_TURN_URLS,
        turn_secret=env.WEBRTC_TURN_SECRET,
        turn_seconds=env.WEBRTC_TURN_SECONDS,
        private=env.WEBRTC_PRIVATE_ADDRESSES,
    )


def kept_secret(data_dir: Path) -> str:
    """A random key for development, drawn once and kept in the data folder."""
    path = data_dir / "secret.key"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=data_dir) as draft:  # readable by us alone
            draft.write(secrets.token_urlsafe(64))
            draft.flush()
            with contextlib.suppress(FileExistsError):  # another process was faster
                os.link(draft.name, path)
    return path.read_text(encoding="ascii")


def email(url: str) -> dict[str, Any]:
    """Django's EMAIL_* settings from smtp://, smtps:// or console://."""
    parts = urlsplit(url)
    if parts.scheme == "console":
        return {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}
    encrypted = parts.scheme == "smtps"
    return {
        "EMAIL_HOST": parts.hostname or "localhost",
        "EMAIL_PORT": parts.port or (465 if encrypted else 587),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": encrypted,
        "EMAIL_USE_TLS": not encrypted and bool(parts.username),
        "EMAIL_TIMEOUT": 10,
    }
