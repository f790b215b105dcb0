"""What "check connection" says of an account, in words for whoever set it up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from calls.providers.carriers.twilio.addresses import address
from calls.providers.carriers.twilio.events import Kind


def account_problems(account: Mapping[str, Any]) -> tuple[str, ...]:
    """What is wrong with the account itself."""
    status = str(account.get("status") or "active")
    return () if status == "active" else (f"the account is {status}",)


def wrong_token(account_sid: str) -> str:
    """The API key is right, but not the token by which webhooks are known."""
    return (
        f"the auth token is not that of {account_sid}: its webhooks will be refused; copy the "
        "primary one from the console"
    )


def number_problems(numbers: Sequence[Mapping[str, Any]], signals_url: str) -> tuple[str, ...]:
    """What is wrong with its numbers; `signals_url` is where they ought to call, if known."""
    if not numbers:
        return ("the account has no telephone number",)
    return tuple(problem for each in numbers for problem in _problems_of(each, signals_url))


def _problems_of(number: Mapping[str, Any], signals_url: str) -> list[str]:
    name = str(number.get("phone_number") or number.get("sid") or "a number")
    if number.get("trunk_sid"):
        return [f"{name} belongs to a SIP trunk, so its calls do not come here"]
    capabilities = number.get("capabilities")
    able = capabilities if isinstance(capabilities, Mapping) else {}
    problems = []
    if able.get("voice", True):
        problems += _voice(name, number, signals_url)
    if able.get("sms", False) and number.get("sms_url"):
        problems += _goes(name, "messages", number["sms_url"], signals_url, Kind.MESSAGE)
    return problems


def _voice(name: str, number: Mapping[str, Any], signals_url: str) -> list[str]:
    if number.get("voice_application_sid"):
        return [f"{name} is answered by a TwiML app, whose address has to be ours"]
    if not number.get("voice_url"):
        wanted = address(signals_url, Kind.INCOMING_CALL) if signals_url else "our address"
        return [f"{name} has no voice webhook: set it to {wanted}"]
    problems = _goes(name, "calls", number["voice_url"], signals_url, Kind.INCOMING_CALL)
    if str(number.get("voice_method") or "POST").upper() != "POST":
        problems.append(f"{name} calls its voice webhook by GET: choose HTTP POST")
    status_url = number.get("status_callback") or ""
    if signals_url and status_url != address(signals_url, Kind.CALL_STATUS):
        wanted = address(signals_url, Kind.CALL_STATUS)
        problems.append(
            f"{name} does not tell us when a call is over: set its call status changes to {wanted}"
        )
    return problems


def _goes(name: str, what: str, url: object, signals_url: str, kind: Kind) -> list[str]:
    wanted = address(signals_url, kind) if signals_url else ""
    if not wanted or url == wanted:
        return []
    return [f"the {what} of {name} go to {url}, not to {wanted}"]
