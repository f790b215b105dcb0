"""What the rest of the product knows of a carrier: one record, which its folder makes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from calls.providers.carriers.answers import Asking
from calls.providers.carriers.bearer import TokenStore
from calls.providers.carriers.door import Door
from calls.providers.carriers.port import Capability, CarrierApi
from calls.providers.carriers.signals import Event, MessageKind, Signal
from calls.providers.carriers.steps import Step
from calls.providers.carriers.stream import CallMedia, CallText
from calls.providers.carriers.trunk import News, Trunk

Voice = Callable[[str, str], AsyncGenerator[bytes, None]]
"""Speaks a text in a language, as PCM16 at 8 kHz."""


async def _nobody_listens(_signal: Signal) -> None:
    return None


class NotAuthentic(Exception):
    """A request that its carrier did not sign, or not now. The message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A request as it came. `kind` is the last part of the address, for carriers that have many.

    `url` is the public address that was signed; `body` is exactly what was received. `form` has
    every value of every field.
    """

    kind: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    form: Mapping[str, Sequence[str]]

    @property
    def fields(self) -> dict[str, str]:
        """The form's fields, each with the last of its values."""
        return {name: values[-1] for name, values in self.form.items() if values}


@dataclass(frozen=True, slots=True)
class Site:
    """Where the two sides reach each other: the carrier's API, and our webhooks.

    For carriers that need it: `tokens` are shared by all our processes, `voice` speaks where the
    carrier has none of its own, and `tell` takes what comes of a command as its answer.
    """

    api_url: str = ""
    webhook_url: str = ""
    tokens: TokenStore | None = None
    voice: Voice | None = None
    tell: Callable[[Signal], Awaitable[None]] = _nobody_listens


@dataclass(frozen=True, slots=True)
class Simulated:
    """The account of a machine that has none: `keys` follow from the installation's secret."""

    api_url: str
    keys: Callable[[str], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Carrier:
    """One carrier.

    `credentials` validates what is entered and says what is wrong with it; `external_id` is the
    carrier's own name for the account. `verify` raises NotAuthentic; `event` reads a verified
    request's identity, `signals` what a stored event says and `steps` what it calls for by
    itself; they raise MalformedEvent. One with a `trunk` sends no webhooks: it is listened to, and
    `told` puts a signal of it into the form in which events are stored. Messages of the kinds in
    `repeats` are sent once, however often they are asked for with one command id.

    Webhooks come to `webhook_path`, or each kind to an address of its own. With `asking` they may
    want an answer. A carrier brings a call's sound by `media`, or by `text` what it hears and is to
    say; one with a `trunk` has its sound fetched.

    An incoming call of one that `asks_who_answers` is taken or refused in the answer to its own
    request, and one that `asks_what_next` asks again whenever a stream or a hand-over is over; the
    others get commands. Without `tells_of_answers` a leg may have been answered and nobody told
    us. One that `decides_hand_overs` answers such a command when the person has taken the caller,
    or has not. For `remembers_commands` from its first sending, a command that is sent again
    under the same id is done once. Calls beyond `calls_per_second` of an account wait there,
    unless more was agreed. Where there is a `simulated` one, the installation itself has an
    account, too. Of one that tells each kind at an address of its own, people have to enter
    those of the kinds in `entered`.
    """

    name: str
    title: str
    capabilities: frozenset[Capability]
    credentials: type[BaseModel]
    external_id: Callable[[Any], str]
    connect: Callable[[Any, Site], CarrierApi]
    verify: Callable[[Webhook, Any, float], None]
    event: Callable[[Webhook, float], Event]
    signals: Callable[[Event], list[Signal]]
    steps: Callable[[Event], tuple[Step, ...]] = lambda _event: ()
    asks_who_answers: bool = False
    asks_what_next: bool = False
    tells_of_answers: bool = True
    decides_hand_overs: bool = False
    remembers_commands: timedelta = timedelta(0)
    calls_per_second: int | None = None
    asking: Asking | None = None
    webhook_path: str = ""
    media: Door[CallMedia] | None = None
    text: Door[CallText] | None = None
    trunk: Callable[[Any, Site, News], Trunk] | None = None
    told: Callable[[Signal], Event] | None = None
    repeats: frozenset[MessageKind] = frozenset()
    entered: tuple[str, ...] = ()
    simulated: Simulated | None = None
