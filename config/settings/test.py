"""The test suite: real PostgreSQL and Redis; quick hashes, mail and cache in memory."""

from calls.providers.carriers.webrtc.ice import IceOptions
from calls.providers.provider import Credentials
from config.settings.base import *  # noqa: F403
from config.settings.base import ALLOWED_HOSTS, DATA_DIR, DATABASES

ALLOWED_HOSTS = [*ALLOWED_HOSTS, "testserver"]
# Each worker points the aliases at its own database, which an open pool would not follow.
DATABASES["default"]["OPTIONS"].pop("pool")
DATABASES["default"]["CONN_MAX_AGE"] = DATABASES["owner"]["CONN_MAX_AGE"] = 60
LANGUAGE_CODE = "en"  # texts are asserted as the source has them
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# Rate limits and lock-outs live in the cache; a test must not meet another's, nor a worker's.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
CELERY_TASK_ALWAYS_EAGER = True
CELERY_TASK_EAGER_PROPAGATES = True
TENANT_BRIDGE_THREADS = 4
WHITENOISE_AUTOREFRESH = True
MEDIA_ROOT = DATA_DIR / "test-media"
# No test reaches a vendor, whatever keys its machine has.
SPEECH_CREDENTIALS = Credentials()
GROQ_API_KEY = TWILIO_ACCOUNT_SID = TWILIO_AUTH_TOKEN = TELNYX_API_KEY = ""
WEBRTC = IceOptions()
