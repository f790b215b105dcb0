"""The telephone in the back office."""

from calls.admin.calls import CallAdmin, RecordingAdmin, RefusedCallAdmin
from calls.admin.routing import NumberAdmin, OpeningHoursAdmin, RoutingRuleAdmin

__all__ = [
    "CallAdmin",
    "NumberAdmin",
    "OpeningHoursAdmin",
    "RecordingAdmin",
    "RefusedCallAdmin",
    "RoutingRuleAdmin",
]
