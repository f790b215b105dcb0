"""Settings shared by every environment. Values come from `env.py` only."""

from __future__ import annotations

import sys

from config import embedded, logs
from config.settings import derived
from config.settings.accounts import *  # noqa: F403
from config.settings.backoffice import *  # noqa: F403
from config.settings.env import BASE_DIR, ENV

DATA_DIR = ENV.DATA_DIR
_app_url, _owner_url, REDIS_URL = ENV.DATABASE_URL, ENV.DATABASE_OWNER_URL, ENV.REDIS_URL
if not (_app_url and REDIS_URL):
    try:
        _servers = embedded.join(DATA_DIR)
    except embedded.EmbeddedError as error:
        sys.exit(str(error))
    if not _app_url:
        _app_url, _owner_url = _servers.app, _servers.owner
    REDIS_URL = REDIS_URL or _servers.redis

# `default` is the application's role (owns nothing, no BYPASSRLS); `owner` runs migrations.
DATABASES = {
    "default": derived.pooled(derived.database(_app_url), 2 * ENV.DATABASE_THREADS),
    "owner": derived.database(_owner_url or _app_url),
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

PUBLIC_BASE_URL = ENV.PUBLIC_BASE_URL or f"http://localhost:{ENV.PORT}"
SECRET_KEY = ENV.SECRET_KEY or derived.kept_secret(DATA_DIR)
SECRETS_KEYS = ENV.SECRETS_KEYS or (derived.sealing_key(SECRET_KEY),)
DEBUG = ENV.DEBUG
ALLOWED_HOSTS = [
    "localhost",
    "127.0.0.1",
    "[::1]",
    derived.host(PUBLIC_BASE_URL),
    *ENV.ALLOWED_HOSTS,
]
CSRF_TRUSTED_ORIGINS = [PUBLIC_BASE_URL]
TRUSTED_PROXY_COUNT = ENV.TRUSTED_PROXY_COUNT
TENANT_BRIDGE_THREADS = ENV.DATABASE_THREADS
DRAIN_SECONDS = ENV.DRAIN_SECONDS
PAGE_CALLS_PER_USER, PAGE_CALLS_PER_WIDGET = ENV.PAGE_CALLS_PER_USER, ENV.PAGE_CALLS_PER_WIDGET

# Keys and addresses of the vendors: one object for whoever builds a call.
SPEECH_CREDENTIALS = derived.credentials(ENV)
GROQ_API_KEY, GROQ_BASE_URL, GROQ_MODEL = ENV.GROQ_API_KEY, ENV.GROQ_BASE_URL, ENV.GROQ_MODEL
TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN = ENV.TWILIO_ACCOUNT_SID, ENV.TWILIO_AUTH_TOKEN
TWILIO_RECORD_CALLS, TWILIO_BASE_URL = ENV.TWILIO_RECORD_CALLS, ENV.TWILIO_BASE_URL
TELNYX_API_KEY, TELNYX_PUBLIC_KEY = ENV.TELNYX_API_KEY, ENV.TELNYX_PUBLIC_KEY
TELNYX_CONNECTION_ID, TELNYX_BASE_URL = ENV.TELNYX_CONNECTION_ID, ENV.TELNYX_BASE_URL
TELNYX_MESSAGING_PROFILE_ID = ENV.TELNYX_MESSAGING_PROFILE_ID
TELNYX_RECORD_CALLS = ENV.TELNYX_RECORD_CALLS
WEBRTC = derived.ice(ENV)

LOGGING = logs.configuration(level=ENV.LOG_LEVEL, form=ENV.LOG_FORMAT or "console")

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "axes",
    "tenants",
    "agents",
    "calls",
    "dashboard",
    "config",
]

MIDDLEWARE = [
    "config.headers.SecurityHeaders",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "tenants.middleware.TenantMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
# Live monitoring only. Audio, hang-up and money never go this way: a full channel drops.
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "andrea", "capacity": 1000, "expiry": 30},
    }
}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "andrea",
    }
}
CELERY_BROKER_URL = derived.broker(REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": "andrea:", "visibility_timeout": 3600}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SOFT_TIME_LIMIT, CELERY_TASK_TIME_LIMIT = 540, 600  # seconds
# A download may take minutes, and many may be due at once: where workers are many, some serve
# these alone. A worker that is not told which queues to serve serves all.
CELERY_TASK_QUEUES: dict[str, dict[str, str]] = {"celery": {}, "files": {}}
CELERY_TASK_ROUTES = {
    "calls.tasks.fetch_recording": {"queue": "files"},
    "calls.tasks.fetch_message_file": {"queue": "files"},
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"

LANGUAGE_CODE = "es"
LANGUAGES = [("es", "Español"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # without collecting them first
MEDIA_ROOT = ENV.MEDIA_DIR  # never served as files: a view checks who may hear a recording

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": [
        "tenants.parsers.StrictJsonParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_THROTTLE_RATES": {"tenant": "1200/min"},  # for each API key or user
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Andrea API",
    "VERSION": "1",
    "DESCRIPTION": "Everything belongs to the tenant of the key. Keys are made in the back office "
    "(API keys) with the scopes that they need, and go along as `Authorization: Bearer KEY`. "
    "Numbers are E.164, times have a zone. A refusal says why in `detail`, and in `code` where a "
    "program may act on it; a wrong field (400) is told under its name. An agent's id is on its "
    "page in the back office.",
    "ENUM_NAME_OVERRIDES": {
        "CallEndReason": "calls.end_reasons.CHOICES",
        "CallState": "calls.models.call.State",
        "CallBackState": "calls.models.note.CallBack.State",
        "CampaignState": "calls.models.campaign.Campaign.State",
        "MessageState": "calls.models.message.Message.State",
        "RecordingState": "calls.models.recording.Recording.State",
    },
    "SCHEMA_PATH_PREFIX": "/api/v1",  # what comes after it groups the routes
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

globals().update(derived.email(ENV.EMAIL_URL))
DEFAULT_FROM_EMAIL = SERVER_EMAIL = ENV.EMAIL_FROM
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
