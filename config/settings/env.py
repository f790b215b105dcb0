"""Every variable of the environment: read once, here, typed, with every fault at once.

`ENV` holds the values. docs/configuration.md and .env.example are written from this table by
`manage.py show_config --docs` and `--example`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from config import kinds
from config.environment import (
    Fault,
    InvalidEnvironment,
    Origin,
    load,
    process_environment,
    variable,
    without_secrets,
)

BASE_DIR = Path(__file__).resolve().parent.parent.parent
SHORTEST_SECRET_KEY = 50

HERE = "Where it runs"
DATA = "Databases"
TRUST = "Trust"
SPEECH = "Speech and language providers"
CARRIERS = "Carriers"
OPERATION = "Operation"
COMPOSE = "Docker Compose"

_postgres = kinds.url("postgresql", "postgres", example="postgresql://user:password@host/andrea")
_http = kinds.url("http", "https", example="https://andrea.example.com")
_vendor = kinds.url("http", "https", "ws", "wss", example="https://api.example.com")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Andrea's settings from outside."""

    HOST: str = variable(
        kinds.text("a name or address"),
        default="127.0.0.1",
        group=HERE,
        help="The address that `make run` listens on; `0.0.0.0` shows it to the network.",
    )
    PORT: int = variable(
        kinds.integer(1, 65535, "a port number"),
        default="8000",
        group=HERE,
        help="The port that `make run` listens on.",
    )
    PUBLIC_BASE_URL: str = variable(
        _http,
        group=HERE,
        required=True,
        help="The address by which browsers and carriers reach Andrea; carriers sign their "
        "requests with it. In development `http://localhost:` and the port, unless set.",
    )
    DATA_DIR: Path = variable(
        kinds.path(BASE_DIR),
        default=".data",
        group=HERE,
        help="The folder of the embedded servers and of what `make run` keeps.",
    )
    MEDIA_DIR: Path = variable(
        kinds.path(BASE_DIR),
        default="media",
        group=HERE,
        help="The folder of the recordings. Web, media and worker must share it.",
    )
    DATABASE_URL: str = variable(
        _postgres,
        group=DATA,
        secret=True,
        required=True,
        help="PostgreSQL as the application's role: neither superuser nor BYPASSRLS, owner of "
        "no table. Unset in development: the embedded server.",
    )
    DATABASE_OWNER_URL: str = variable(
        _postgres,
        group=DATA,
        secret=True,
        help="PostgreSQL as the owner of the tables, for migrations. Unset: `DATABASE_URL`.",
    )
    REDIS_URL: str = variable(
        kinds.url("redis", "rediss", "unix", example="redis://host:6379/0"),
        group=DATA,
        secret=True,
        required=True,
        help="Redis for the channel layer, Celery and the cache. Unset in development: the "
        "embedded server.",
    )
    DATABASE_THREADS: int = variable(
        kinds.integer(1, 64, "a number of threads"),
        default="8",
        group=DATA,
        help="Database connections per process for live calls.",
    )
    DEBUG: bool = variable(
        kinds.boolean(),
        default="false",
        group=TRUST,
        help="Django's error pages with the source. Refused in production.",
    )
    SECRET_KEY: str = variable(
        kinds.text(f"random text of at least {SHORTEST_SECRET_KEY} characters"),
        group=TRUST,
        secret=True,
        required=True,
        help="Signs sessions and tokens. In development one is drawn and kept in `DATA_DIR`.",
    )
    SECRETS_KEYS: tuple[str, ...] = variable(
        kinds.fernet_keys("Fernet keys with commas between them, the newest first"),
        group=TRUST,
        secret=True,
        required=True,
        help="Encrypt what tenants entrust to us, such as their carriers' keys: the first one "
        "seals, all of them open (docs/operations.md). In development one is derived from "
        "`SECRET_KEY`.",
    )
    ALLOWED_HOSTS: tuple[str, ...] = variable(
        kinds.words("host names with commas between them, such as andrea.example.com"),
        group=TRUST,
        help="Host names that are served besides that of `PUBLIC_BASE_URL`.",
    )
    TRUSTED_PROXY_COUNT: int = variable(
        kinds.integer(0, 9, "a number of proxies"),
        default="0",
        group=TRUST,
        help="How many proxies of yours stand before Andrea and append to X-Forwarded-For.",
    )
    GROQ_API_KEY: str = variable(
        kinds.text(),
        group=SPEECH,
        secret=True,
        help="Groq: the language model, and recognition by Whisper.",
    )
    GROQ_BASE_URL: str = variable(
        _vendor,
        default="https://api.groq.com",
        group=SPEECH,
        help="Groq's address, up to where `/openai/v1` begins.",
    )
    GROQ_MODEL: str = variable(
        kinds.text(),
        default="openai/gpt-oss-120b",
        group=SPEECH,
        help="The model for agents whose version names none.",
    )
    AZURE_SPEECH_KEY: str = variable(
        kinds.text(),
        group=SPEECH,
        secret=True,
        help="Azure Speech: streaming recognition and neural voices.",
    )
    AZURE_SPEECH_REGION: str = variable(
        kinds.matching(r"[a-z0-9]+", "a region such as westeurope"),
        group=SPEECH,
        help="The region of the Azure key.",
    )
    AZURE_SPEECH_HOST: str = variable(
        _vendor,
        group=SPEECH,
        help="An Azure Speech container in place of the cloud, such as `ws://speech:5000`.",
    )
    ELEVENLABS_API_KEY: str = variable(
        kinds.text(),
        group=SPEECH,
        secret=True,
        help="ElevenLabs: voices.",
    )
    ELEVENLABS_BASE_URL: str = variable(
        _vendor,
        default="https://api.elevenlabs.io",
        group=SPEECH,
        help="ElevenLabs' address.",
    )
    OPENAI_AUDIO_BASE_URL: str = variable(
        _vendor,
        group=SPEECH,
        help="A server with OpenAI's `/v1/audio` interface. Unset, with a key: OpenAI's own.",
    )
    OPENAI_AUDIO_API_KEY: str = variable(
        kinds.text(),
        group=SPEECH,
        secret=True,
        help="Its key, if it wants one.",
    )
    TWILIO_ACCOUNT_SID: str = variable(
        kinds.matching(r"AC[0-9a-fA-F]{32}", "AC and 32 hexadecimal digits"),
        group=CARRIERS,
        help="The Twilio account whose numbers call Andrea.",
    )
    TWILIO_AUTH_TOKEN: str = variable(
        kinds.matching(r"[0-9a-fA-F]{32}", "32 hexadecimal digits"),
        group=CARRIERS,
        secret=True,
        help="Its token: requests are checked against it, and calls are transferred with it.",
    )
    TWILIO_RECORD_CALLS: bool = variable(
        kinds.boolean(),
        default="false",
        group=CARRIERS,
        help="Have Twilio record the calls of that account, beside our own recording and also "
        "after a hand-over to a person. Tenants' own accounts have a switch each.",
    )
    TWILIO_BASE_URL: str = variable(
        _http,
        group=CARRIERS,
        help="Twilio's address, for all accounts. Unset: that of the account's region; for the "
        "installation without an account the simulated Twilio's on this machine.",
    )
    TELNYX_API_KEY: str = variable(
        kinds.text(),
        group=CARRIERS,
        secret=True,
        help="The Telnyx account whose numbers call Andrea. Tenants may have accounts of their "
        "own, which are entered in the back office.",
    )
    TELNYX_PUBLIC_KEY: str = variable(
        kinds.text("a key in base64"),
        group=CARRIERS,
        secret=True,
        help="Its public key, against which webhooks are checked.",
    )
    TELNYX_CONNECTION_ID: str = variable(
        kinds.matching(r"[0-9]+", "digits"),
        group=CARRIERS,
        help="Its Voice API application.",
    )
    TELNYX_MESSAGING_PROFILE_ID: str = variable(
        kinds.text(),
        group=CARRIERS,
        help="Its messaging profile, for WhatsApp numbers without SMS.",
    )
    TELNYX_RECORD_CALLS: bool = variable(
        kinds.boolean(),
        default="false",
        group=CARRIERS,
        help="Have Telnyx record the calls of that account, as `TWILIO_RECORD_CALLS` does.",
    )
    TELNYX_BASE_URL: str = variable(
        _http,
        group=CARRIERS,
        help="Telnyx's address, for all accounts. Unset: `https://api.telnyx.com/v2`; for the "
        "installation without an account the simulated Telnyx's on this machine.",
    )
    WEBRTC_ENABLED: bool = variable(
        kinds.boolean(),
        default="true",
        group=CARRIERS,
        help="Pages may call over WebRTC; without it their sound comes over their WebSocket. "
        "Switch it off where no UDP reaches Andrea, and pages need not find that out.",
    )
    WEBRTC_STUN_URLS: tuple[str, ...] = variable(
        kinds.each(r"stuns?:[^\s?,]+", "addresses such as stun:turn.example.com:3478"),
        group=CARRIERS,
        help="STUN servers for pages; Andrea asks the first of them for its own public address. "
        "Needed behind a NAT.",
    )
    WEBRTC_TURN_URLS: tuple[str, ...] = variable(
        kinds.each(
            r"turns?:[^\s?,]+(\?transport=(udp|tcp))?",
            "addresses such as turns:turn.example.com:5349?transport=tcp",
        ),
        group=CARRIERS,
        help="TURN servers for pages that cannot reach Andrea by UDP themselves.",
    )
    WEBRTC_TURN_SECRET: str = variable(
        kinds.text(),
        group=CARRIERS,
        secret=True,
        help="What the TURN servers share with us (coturn: `static-auth-secret`): pages get "
        "credentials made with it.",
    )
    WEBRTC_TURN_SECONDS: int = variable(
        kinds.integer(60, 86400, "seconds"),
        default="18000",
        group=CARRIERS,
        help="How long a page's TURN credentials are good for: longer than the longest call.",
    )
    WEBRTC_PRIVATE_ADDRESSES: bool = variable(
        kinds.boolean(),
        default="false",
        group=CARRIERS,
        help="Send packets also to addresses of private networks that a page names. Pages in "
        "our own network reach us without that.",
    )
    PAGE_CALLS_PER_USER: int = variable(
        kinds.integer(1, 1000, "a number of calls"),
        default="3",
        group=OPERATION,
        help="How many calls from pages one user may have at a time.",
    )
    PAGE_CALLS_PER_WIDGET: int = variable(
        kinds.integer(1, 10000, "a number of calls"),
        default="20",
        group=OPERATION,
        help="How many calls the visitors of one agent's widget may have at a time.",
    )
    LOG_LEVEL: str = variable(
        kinds.choice("DEBUG", "INFO", "WARNING", "ERROR"),
        default="INFO",
        group=OPERATION,
        help="The least serious messages that are logged.",
    )
    LOG_FORMAT: str = variable(
        kinds.choice("console", "json"),
        group=OPERATION,
        help="Lines for people or for machines. Unset: `json` in production, else `console`.",
    )
    DRAIN_SECONDS: int = variable(
        kinds.integer(0, 7200, "seconds"),
        default="600",
        group=OPERATION,
        help="How long live calls may go on after SIGTERM; no new ones are taken.",
    )
    EMAIL_URL: str = variable(
        kinds.url("smtp", "smtps", "console", example="smtp://user:password@host:587"),
        default="console://localhost",
        group=OPERATION,
        secret=True,
        required=True,
        help="The mail server for password resets; `console` writes mails to the log, which "
        "production refuses.",
    )
    EMAIL_FROM: str = variable(
        kinds.matching(r"[^@\s]+@[^@\s]+|.*<[^@\s]+@[^@\s]+>", "an e-mail address"),
        default="andrea@localhost",
        group=OPERATION,
        help="The sender of these mails.",
    )
    POSTGRES_PASSWORD: str = variable(
        kinds.text(),
        group=COMPOSE,
        secret=True,
        help="The superuser's password; used only when the database is first created.",
    )
    POSTGRES_OWNER_PASSWORD: str = variable(
        kinds.text(),
        group=COMPOSE,
        secret=True,
        help="The password of the tables' owner.",
    )
    POSTGRES_APP_PASSWORD: str = variable(
        kinds.text(),
        group=COMPOSE,
        secret=True,
        help="The password of the application's role.",
    )
    HTTP_PORT: int = variable(
        kinds.integer(1, 65535, "a port number"), default="8080", group=COMPOSE,
        help="The one port of the machine that the proxy publishes.",
    )  # fmt: skip


def conflicts(env: Environment, *, production: bool) -> Iterator[Fault]:
    """Values that are each right and do not fit together, or not into production."""
    if env.TWILIO_ACCOUNT_SID and not env.TWILIO_AUTH_TOKEN:
        yield Fault("TWILIO_AUTH_TOKEN", "", "is needed with TWILIO_ACCOUNT_SID")
    if env.TELNYX_API_KEY:
        for name in ("TELNYX_PUBLIC_KEY", "TELNYX_CONNECTION_ID"):
            if not getattr(env, name):
                yield Fault(name, "", "is needed with TELNYX_API_KEY")
    if env.WEBRTC_TURN_URLS and not env.WEBRTC_TURN_SECRET:
        yield Fault("WEBRTC_TURN_SECRET", "", "is needed with WEBRTC_TURN_URLS")
    if env.AZURE_SPEECH_KEY and not (env.AZURE_SPEECH_REGION or env.AZURE_SPEECH_HOST):
        yield Fault("AZURE_SPEECH_REGION", "", "is needed with AZURE_SPEECH_KEY")
    if production:
        yield from _unfit_for_production(env)


def _unfit_for_production(env: Environment) -> Iterator[Fault]:
    if env.DEBUG:
        yield Fault("DEBUG", "=true", "shows the source to visitors; refused in production")
    if len(env.SECRET_KEY) < SHORTEST_SECRET_KEY or len(set(env.SECRET_KEY)) < 10:
        reason = f"is weak; use random text of at least {SHORTEST_SECRET_KEY} characters"
        yield Fault("SECRET_KEY", "", reason)
    if any("*" in host for host in env.ALLOWED_HOSTS):
        yield Fault("ALLOWED_HOSTS", "", "must name its hosts in production, without *")
    if urlsplit(env.EMAIL_URL).scheme == "console":
        reason = "writes password resets to the log; production needs smtp:// or smtps://"
        yield Fault("EMAIL_URL", "=console", reason)
    public = urlsplit(env.PUBLIC_BASE_URL)
    if public.scheme != "https" and public.hostname not in ("localhost", "127.0.0.1"):
        shown = without_secrets(env.PUBLIC_BASE_URL)
        yield Fault("PUBLIC_BASE_URL", f"={shown}", "must begin with https://")


def is_production() -> bool:
    """Whether Django was told to run with the production settings."""
    return _settings_module() == "config.settings.production"


def dotenv_file() -> Path:
    """Where settings may be written. Tests must not depend on what is there for other use."""
    return BASE_DIR / (".env.test" if _settings_module() == "config.settings.test" else ".env")


def _settings_module() -> str:
    return process_environment().get("DJANGO_SETTINGS_MODULE", "")


def read(dotenv: Path) -> tuple[Environment, dict[str, Origin]]:
    """The environment and where each value came from. Raises InvalidEnvironment."""
    production = is_production()
    env, origins, faults = load(Environment, process_environment(), dotenv, production=production)
    named = {fault.name for fault in faults}
    faults += [item for item in conflicts(env, production=production) if item.name not in named]
    if faults:
        raise InvalidEnvironment(faults)
    return env, origins


try:
    ENV, ORIGINS = read(dotenv_file())
except InvalidEnvironment as error:
    # The first thing that any process of ours does: nothing has started that must be ended.
    sys.exit(f"{error}\nSet it in the environment or in .env; see docs/configuration.md.")
