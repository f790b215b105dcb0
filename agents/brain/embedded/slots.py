"""What the embedded brain can ask a caller for."""

from __future__ import annotations

from typing import Literal, get_args

Slot = Literal["name", "phone", "date", "people", "number", "time", "message"]
SLOTS: tuple[Slot, ...] = get_args(Slot)
