"""What happened is shown in the back office, and stays as it is."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


class ReadOnly:
    """Mixin: what happened is shown, and nobody can say that it was otherwise."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Rows come from calls alone."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Looking is allowed by `has_view_permission`."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Retention and erasure are services, with a trail of their own."""
        return False
