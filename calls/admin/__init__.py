"""The telephone in the back office."""

from calls.admin.accounts import CarrierAccountAdmin
from calls.admin.calls import CallAdmin, RecordingAdmin, RefusedCallAdmin
from calls.admin.campaigns import CampaignAdmin, CampaignContactAdmin
from calls.admin.carrier_events import CarrierEventAdmin, StrayEventAdmin
from calls.admin.journal import JournalEntryAdmin
from calls.admin.messages import MessageAdmin
from calls.admin.notes import CallBackAdmin, TakenMessageAdmin
from calls.admin.outbound import DoNotCallAdmin, OutboundSettingsAdmin
from calls.admin.routing import NumberAdmin, OpeningHoursAdmin, RoutingRuleAdmin

__all__ = [
    "CallAdmin",
    "CallBackAdmin",
    "CampaignAdmin",
    "CampaignContactAdmin",
    "CarrierAccountAdmin",
    "CarrierEventAdmin",
    "DoNotCallAdmin",
    "JournalEntryAdmin",
    "MessageAdmin",
    "NumberAdmin",
    "OpeningHoursAdmin",
    "OutboundSettingsAdmin",
    "RecordingAdmin",
    "RefusedCallAdmin",
    "RoutingRuleAdmin",
    "StrayEventAdmin",
    "TakenMessageAdmin",
]
