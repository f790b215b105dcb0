"""Words for what is stored about calls."""

from __future__ import annotations

from django import template

from calls.models import Call
from dashboard.texts import end_reason_label

register = template.Library()


@register.filter
def outcome(call: Call) -> str:
    """How the call ended, or where it stands."""
    return end_reason_label(call.end_reason) if call.end_reason else call.get_state_display()


@register.filter
def seconds(milliseconds: float | None) -> str:
    """`75000` as `1:15`; nothing known is a hyphen."""
    if milliseconds is None:
        return "-"
    minutes, rest = divmod(round(milliseconds / 1000), 60)
    return f"{minutes}:{rest:02d}"
