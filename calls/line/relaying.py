"""Whether a call's carrier is to hear and speak by itself, and how: its agent's profile says so."""

from __future__ import annotations

import uuid
from typing import cast

from agents.profiles import Channel, TurnSettings
from calls.models import Call
from calls.providers.carriers.port import Capability, Interrupts, Relay
from calls.providers.carriers.registry import carrier


def can_relay(carrier_name: str) -> bool:
    """Whether this carrier hears and speaks by itself, if it is asked to."""
    return Capability.RELAY in carrier(carrier_name).capabilities


def relay_of(call: Call) -> Relay | None:
    """What the carrier is told; None where we hear and speak. Inside the call's tenant."""
    if not can_relay(call.channel) or call.version is None:
        return None
    profile = call.version.profile(cast(Channel, call.channel))
    if not profile.relay.enabled:
        return None
    dialect, _voice = profile.voice.in_language(call.language)
    return Relay(
        language=dialect,
        voice=profile.relay.voice,
        voice_provider=profile.relay.voice_provider,
        hearing_provider=profile.relay.transcriber,
        interruptible=_interruptible(profile.transcriber.turns),
        hints=profile.transcriber.keyterms,
    )


def relay_of_id(public_id: uuid.UUID) -> Relay | None:
    """The same, by the call's public id."""
    call: Call = Call.objects.select_related("version").get(public_id=public_id)
    return relay_of(call)


def _interruptible(turns: TurnSettings) -> Interrupts:
    if turns.bargein:
        return "any" if turns.keys_interrupt else "speech"
    return "dtmf" if turns.keys_interrupt else "none"
