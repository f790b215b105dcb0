"""The test suite: real PostgreSQL and Redis; quick hashes, mail and cache in memory."""

from config.settings.base import *  # noqa: F403
from config.settings.base import ALLOWED_HOSTS

ALLOWED_HOSTS = [*ALLOWED_HOSTS, "testserver"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# Rate limits and lock-outs live in the cache; a test must not meet another's, nor a worker's.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
CELERY_TASK_ALWAYS_EAGER = True
CELERY_TASK_EAGER_PROPAGATES = True
TENANT_BRIDGE_THREADS = 4
WHITENOISE_AUTOREFRESH = True
