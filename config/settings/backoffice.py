"""The back office's looks (django-unfold)."""

from __future__ import annotations

UNFOLD = {
    "SITE_TITLE": "Andrea",
    "SITE_HEADER": "Andrea",
    "SITE_SYMBOL": "headset_mic",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": False,
    "SIDEBAR": {"show_search": True, "show_all_applications": False},
}
