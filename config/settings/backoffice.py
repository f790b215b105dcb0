"""The back office's looks (django-unfold)."""

from __future__ import annotations

from django.templatetags.static import static
from django.utils.functional import lazy

_static = lazy(static, str)  # files have their final names only when the apps are ready

# The portal's green. 600 carries white text at a contrast of 6.4, 500 dark text in the dark theme.
_GREEN = {
    "50": "#eef8f5",
    "100": "#d8efe8",
    "200": "#b0dfd2",
    "300": "#7fcab8",
    "400": "#45b39d",
    "500": "#1f9a84",
    "600": "#0b6b5d",
    "700": "#09584d",
    "800": "#08463e",
    "900": "#073932",
    "950": "#031f1b",
}

UNFOLD = {
    "SITE_TITLE": "Andrea",
    "SITE_HEADER": "Andrea",
    "SITE_ICON": _static("img/andrea.svg"),
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": _static("img/andrea.svg")},
    ],
    "STYLES": [_static("css/backoffice.css")],
    "COLORS": {"primary": _GREEN},
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": True,
    "SIDEBAR": {"show_search": True, "navigation": "dashboard.backoffice.navigation"},
}
