"""Words for what is stored about calls."""

from __future__ import annotations

from collections.abc import Mapping

from django import template
from django.utils.translation import gettext_lazy as _

from calls.end_reasons import end_reason_label
from calls.models import Call

register = template.Library()

STAGES = {
    "endpointing_delay": _("end of turn"),
    "tool_time": _("tool"),
    "llm_first_token": _("model"),
    "voice_lost": _("lost voice"),
    "tts_first_audio": _("voice"),
}


@register.filter
def outcome(call: Call) -> str:
    """How the call ended, or where it stands."""
    return end_reason_label(call.end_reason) if call.end_reason else call.get_state_display()


@register.filter
def stages(metrics: Mapping[str, float]) -> str:
    """What an answer's time was made of, in milliseconds; stages may have overlapped."""
    return " · ".join(
        f"{label} {round(metrics[name])}" for name, label in STAGES.items() if metrics.get(name)
    )


@register.filter
def seconds(milliseconds: float | None) -> str:
    """`75000` as `1:15`; nothing known is a hyphen."""
    if milliseconds is None:
        return "-"
    minutes, rest = divmod(round(milliseconds / 1000), 60)
    return f"{minutes}:{rest:02d}"
