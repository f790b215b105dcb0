"""What the portal says about calls."""

from __future__ import annotations

from calls.end_reasons import END_REASONS, end_reason_label
from calls.voice.end_reasons import EndReason
from dashboard.templatetags.calls_text import seconds


def test_every_end_reason_has_words() -> None:
    assert set(END_REASONS) == set(EndReason)


def test_an_unlisted_reason_is_shown_as_it_is() -> None:
    assert end_reason_label("struck_by_lightning") == "struck_by_lightning"


def test_a_length_is_shown_in_minutes_and_seconds() -> None:
    assert [seconds(0), seconds(75_400), seconds(None)] == ["0:00", "1:15", "-"]
