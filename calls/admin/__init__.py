"""The telephone in the back office."""

from calls.admin.calls import CallAdmin, RecordingAdmin, RefusedCallAdmin
from calls.admin.notes import CallBackAdmin, TakenMessageAdmin
from calls.admin.outbound import DoNotCallAdmin, OutboundSettingsAdmin
from calls.admin.routing import NumberAdmin, OpeningHoursAdmin, RoutingRuleAdmin

__all__ = [
    "CallAdmin",
    "CallBackAdmin",
    "DoNotCallAdmin",
    "NumberAdmin",
    "OpeningHoursAdmin",
    "OutboundSettingsAdmin",
    "RecordingAdmin",
    "RefusedCallAdmin",
    "RoutingRuleAdmin",
    "TakenMessageAdmin",
]
