"""What "check connection" says of an account, in words for whoever set it up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from calls.providers.carriers.sentences import _
from calls.providers.carriers.twilio.addresses import address
from calls.providers.carriers.twilio.events import Kind


def account_problems(account: Mapping[str, Any]) -> tuple[str, ...]:
    """What is wrong with the account itself."""
    status = str(account.get("status") or "active")
    return () if status == "active" else (_("the account is %(status)s", status=status),)


def rejected_key(account_sid: str, why: str) -> str:
    """Twilio does not let us in."""
    return _("Twilio does not take %(sid)s with this key (%(why)s)", sid=account_sid, why=why)


def unknown_account(account_sid: str, why: str) -> str:
    """Nobody has that SID."""
    return _("Twilio knows no account %(sid)s (%(why)s)", sid=account_sid, why=why)


def wrong_token(account_sid: str) -> str:
    """The API key is right, but not the token by which webhooks are known."""
    return _(
        "the auth token is not that of %(sid)s: its webhooks will be refused; copy the primary one "
        "from the console",
        sid=account_sid,
    )


def number_problems(numbers: Sequence[Mapping[str, Any]], signals_url: str) -> tuple[str, ...]:
    """What is wrong with its numbers; `signals_url` is where they ought to call, if known."""
    if not numbers:
        return (_("the account has no telephone number"),)
    return tuple(problem for each in numbers for problem in _problems_of(each, signals_url))


def _problems_of(number: Mapping[str, Any], signals_url: str) -> list[str]:
    name = str(number.get("phone_number") or number.get("sid") or "?")
    if number.get("trunk_sid"):
        return [_("%(name)s belongs to a SIP trunk, so its calls do not come here", name=name)]
    capabilities = number.get("capabilities")
    able = capabilities if isinstance(capabilities, Mapping) else {}
    problems: list[str] = []
    if able.get("voice", True):
        problems += _voice(name, number, signals_url)
    if able.get("sms", False) and number.get("sms_url"):
        wanted = address(signals_url, Kind.MESSAGE) if signals_url else ""
        if wanted and number["sms_url"] != wanted:
            problems.append(_messages_go_elsewhere(name, number["sms_url"], wanted))
    return problems


def _voice(name: str, number: Mapping[str, Any], signals_url: str) -> list[str]:
    wanted = address(signals_url, Kind.INCOMING_CALL) if signals_url else ""
    if number.get("voice_application_sid"):
        return [_("%(name)s is answered by a TwiML app, whose address has to be ours", name=name)]
    if not number.get("voice_url"):
        url = wanted or _("our address")
        return [_("%(name)s has no voice webhook: set it to %(url)s", name=name, url=url)]
    problems: list[str] = []
    if wanted and number["voice_url"] != wanted:
        problems.append(_calls_go_elsewhere(name, number["voice_url"], wanted))
    if str(number.get("voice_method") or "POST").upper() != "POST":
        problems.append(_("%(name)s calls its voice webhook by GET: choose HTTP POST", name=name))
    status_url = number.get("status_callback") or ""
    if signals_url and status_url != address(signals_url, Kind.CALL_STATUS):
        problems.append(_no_status(name, address(signals_url, Kind.CALL_STATUS)))
    return problems


def _calls_go_elsewhere(name: str, url: object, wanted: str) -> str:
    return _(
        "the calls of %(name)s go to %(url)s, not to %(wanted)s", name=name, url=url, wanted=wanted
    )


def _messages_go_elsewhere(name: str, url: object, wanted: str) -> str:
    return _(
        "the messages of %(name)s go to %(url)s, not to %(wanted)s",
        name=name,
        url=url,
        wanted=wanted,
    )


def _no_status(name: str, wanted: str) -> str:
    return _(
        "%(name)s does not tell us when a call is over: set its call status changes to %(url)s",
        name=name,
        url=wanted,
    )
