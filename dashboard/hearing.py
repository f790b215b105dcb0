"""What a caller should know about an agent's ears before they speak to it in the browser."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import get_language_info
from django.utils.translation import gettext as _

from agents.models import AgentVersion
from agents.profiles import TranscriberSettings
from calls.providers.registry import Credentials, first_recogniser
from calls.providers.stt import browser

Notice = dict[str, str]


def hearing_of(version: AgentVersion) -> dict[str, dict[str, Any]]:
    """Who is expected to listen, and what to tell callers of each listener worth a word.

    By the language of the call, the version's first in front:
    `without_page` listens where the page cannot recognise speech itself.
    `{"es": {"dialect": "es-MX", "expected": "browser", "without_page": "embedded", "notices":
    {"embedded": {"code", "title", "text"}, ...}}, ...}`
    """
    transcriber = version.profile("browser").transcriber
    return {spoken: _hearing(transcriber, spoken) for spoken in version.languages}


def _hearing(transcriber: TranscriberSettings, spoken: str) -> dict[str, Any]:
    language = transcriber.languages_in(spoken)[0]
    credentials: Credentials = settings.SPEECH_CREDENTIALS
    wishes = (transcriber.provider, *transcriber.fallbacks)
    by_itself = tuple("" if name == browser.NAME else name for name in wishes)
    expected, without_page = (
        first_recogniser(
            provider=first, fallbacks=others, language=language, credentials=credentials
        ).name
        for first, *others in (wishes, by_itself)
    )
    return {
        "dialect": language,
        "expected": expected,
        "without_page": without_page,
        "notices": {"embedded": _embedded(language), "browser": _browser()},
    }


def notice_for(version: AgentVersion) -> Notice | None:
    """What to say about the agent before anybody has called it."""
    hearing = hearing_of(version)[version.language]
    notice: Notice | None = hearing["notices"].get(hearing["expected"])
    return notice


def _embedded(language: str) -> Notice:
    last_resort = first_recogniser(
        provider="embedded", language=language, credentials=Credentials()
    )
    return _demonstration() if last_resort.available else _deaf(language)


def _deaf(language: str) -> Notice:
    name = get_language_info(language)["name_translated"]
    return {
        "code": "deaf",
        "title": _("No %(language)s recogniser is configured") % {"language": name},
        "text": _(
            "This agent speaks, but cannot understand you until AZURE_SPEECH_KEY or GROQ_API_KEY "
            "is set. Meanwhile the browser's own recognition can be chosen in its browser profile."
        ),
    }


def _demonstration() -> Notice:
    return {
        "code": "demonstration",
        "title": _("A demonstration recogniser listens"),
        "text": _(
            "It understands English, and only the words of the agent's knowledge. Set "
            "AZURE_SPEECH_KEY or GROQ_API_KEY for one that understands everything."
        ),
    }


def _browser() -> Notice:
    return {
        "code": "browser",
        "title": _("Your browser recognises what you say"),
        "text": _("Its maker may receive your voice, as it does when you dictate."),
    }
