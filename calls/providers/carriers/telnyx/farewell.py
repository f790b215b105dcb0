"""A last word by Telnyx's own voice, after which the leg ends.

    answered already:  speak -> spoken: hang up
    still ringing:     answer -> answered: speak -> spoken: hang up

As in `transfer`, what comes next follows from one webhook and what its `client_state` carries.
"""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass

import orjson

from calls.providers.carriers.steps import Step
from calls.providers.carriers.telnyx.context import pack
from calls.providers.carriers.telnyx.events import Event

_MARK = "farewell"


@dataclass(frozen=True, slots=True)
class Farewell:
    """What to say, by which voice; `root` is what the commands' ids come from."""

    root: str
    text: str
    voice: str

    def answer(self, leg: str) -> Step:
        """Pick up a leg that still rings."""
        return self._step(leg, "answer")

    def speak(self, leg: str) -> Step:
        """Say it on a leg that is answered, and not after what it may be hearing."""
        return self._step(leg, "speak", payload=self.text, voice=self.voice, stop="all")

    def hang_up(self, leg: str) -> Step:
        """End the leg."""
        return self._step(leg, "hangup")

    def _step(self, leg: str, action: str, **arguments: str) -> Step:
        """With the same id each time, so that Telnyx does it once."""
        command_id = uuid.uuid5(uuid.UUID(self.root), action)
        return Step(leg, action, {**arguments, "client_state": self.pack()}, command_id)

    def pack(self) -> str:
        """As `client_state`."""
        return pack(orjson.dumps({_MARK: asdict(self)}).decode())

    @classmethod
    def of(cls, client_state: str) -> Farewell | None:
        """Read it out of an unpacked `client_state`; None for what is none."""
        try:
            farewell = cls(**orjson.loads(client_state)[_MARK])
            uuid.UUID(farewell.root)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return farewell


def next_steps(event: Event) -> tuple[Step, ...]:
    """What a webhook of a leg that is being taken leave of calls for."""
    farewell = Farewell.of(event.client_state)
    if farewell is None:
        return ()
    if event.kind == "call.answered":
        return (farewell.speak(event.required("call_control_id")),)
    if event.kind == "call.speak.ended":
        return (farewell.hang_up(event.required("call_control_id")),)
    return ()
