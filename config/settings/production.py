"""Production: behind a proxy that ends TLS. What is unfit for it, `env.py` has refused."""

from config import logs
from config.settings.base import *  # noqa: F403
from config.settings.base import PUBLIC_BASE_URL
from config.settings.env import BASE_DIR, ENV

_encrypted = PUBLIC_BASE_URL.startswith("https://")

DEBUG = False
LOGGING = logs.configuration(level=ENV.LOG_LEVEL, form=ENV.LOG_FORMAT or "json")

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = _encrypted
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # asked for from inside, without the proxy
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if _encrypted else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _encrypted
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _encrypted
SESSION_COOKIE_NAME = "__Host-sessionid" if _encrypted else "sessionid"

WHITENOISE_USE_FINDERS = False
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
