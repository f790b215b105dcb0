"""What the embedded brain can ask a caller for."""

from __future__ import annotations

from typing import Literal

Slot = Literal["name", "phone", "date", "people", "number", "time", "message"]
# Those that an entry of the knowledge may ask for; the others belong to functions.
SLOTS: tuple[Slot, ...] = ("name", "phone", "date", "people", "number")
