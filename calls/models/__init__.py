"""Telephone calls and what is left of them."""

from calls.models.account import CarrierAccount
from calls.models.call import Call, CallQuerySet, Channel, Direction, State
from calls.models.campaign import (
    Campaign,
    CampaignAttempt,
    CampaignContact,
    Outcome,
    RetryRule,
)
from calls.models.carrier_event import CarrierEvent, StrayEvent
from calls.models.command import Command
from calls.models.event import CallEvent, RefusedCall
from calls.models.hours import Holiday, OpeningHours, OpeningInterval
from calls.models.journal import JournalEntry
from calls.models.leg import Leg
from calls.models.message import Message, MessageFile
from calls.models.note import CallBack, TakenMessage
from calls.models.number import Number
from calls.models.outbound import DoNotCall, OutboundRequest, OutboundSettings, PlacingPace
from calls.models.recording import Recording
from calls.models.routing import RoutingChoice, RoutingReason, RoutingRule
from calls.models.utterance import Utterance

__all__ = [
    "Call",
    "CallBack",
    "CallEvent",
    "CallQuerySet",
    "Campaign",
    "CampaignAttempt",
    "CampaignContact",
    "CarrierAccount",
    "CarrierEvent",
    "Channel",
    "Command",
    "Direction",
    "DoNotCall",
    "Holiday",
    "JournalEntry",
    "Leg",
    "Message",
    "MessageFile",
    "Number",
    "OpeningHours",
    "OpeningInterval",
    "OutboundRequest",
    "OutboundSettings",
    "Outcome",
    "PlacingPace",
    "Recording",
    "RefusedCall",
    "RetryRule",
    "RoutingChoice",
    "RoutingReason",
    "RoutingRule",
    "State",
    "StrayEvent",
    "TakenMessage",
    "Utterance",
]
