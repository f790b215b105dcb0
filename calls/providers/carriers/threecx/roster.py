"""Who is on the line at the route point, and what signals follow from a change of that.

The PBX's events say that something changed, never what; they are not told again after a broken
connection, and may come twice or shuffled. So signals are made from what a participant is when
it is looked at, against what it was: the same look twice tells nothing new. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from calls.providers.carriers.signals import (
    Answered,
    EndCause,
    Ended,
    KeysPressed,
    Ringing,
    Signal,
)
from calls.providers.carriers.threecx.entities import CONNECTED, Participant, participant_of
from calls.providers.carriers.trunk import KnownLeg

_REMEMBERED = 1000  # ids of parties that left, against late news of them


@dataclass(slots=True)
class _Known:
    leg: str
    incoming: bool
    connected: bool = False
    key_events: set[str] = field(default_factory=set)


class Roster:
    """The parties at one route point, by the PBX's ids for them.

    A leg keeps the name that it was first seen with. `now` is our clock: the PBX tells no times.
    """

    def __init__(self, dn: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._dn, self._now = dn, now
        self._known: dict[str, _Known] = {}
        self._left: dict[str, None] = {}  # a set that keeps its order
        self._early: dict[str, list[tuple[str, str]]] = {}  # keys of parties not looked at yet

    def recall(self, legs: Iterable[KnownLeg]) -> None:
        """Begin with legs that are known from before; what is gone since is found by `resync`."""
        for each in legs:
            known = _Known(each.leg, incoming=each.incoming, connected=each.answered)
            self._known[participant_of(each.leg)] = known

    def seen(self, participant: Participant) -> list[Signal]:
        """A party as it is now."""
        if participant.id in self._left:
            return []  # it was looked at before it left, and the answer came after
        signals: list[Signal] = []
        known = self._known.get(participant.id)
        if known is None:
            known = _Known(participant.leg, incoming=not participant.is_ours)
            self._known[participant.id] = known
            signals.append(self._ringing(known, participant))
        if participant.status == CONNECTED and not known.connected:
            known.connected = True
            event_id = f"{known.leg}:answered"
            signals.append(Answered(event_id=event_id, leg=known.leg, at=self._now()))
        for keys, event in self._early.pop(participant.id, ()):
            signals += self.keys(participant.id, keys, event)
        return signals

    def gone(self, participant: str, how: str = "removed") -> list[Signal]:
        """A party has left; `how` we know is told as the detail, for the PBX gives no cause."""
        self._remember_left(participant)
        self._early.pop(participant, None)
        known = self._known.pop(participant, None)
        if known is None:
            return []
        event_id = f"{known.leg}:ended"
        cause = _cause(known)
        return [Ended(event_id=event_id, leg=known.leg, at=self._now(), cause=cause, detail=how)]

    def resync(self, participants: Iterable[Participant]) -> list[Signal]:
        """All who are there after a time without news: others have left, some are new."""
        present = list(participants)
        self._left.clear()  # what is there is there, and a PBX that restarted counts anew
        self._early.clear()
        ids = {participant.id for participant in present}
        signals: list[Signal] = []
        for missing in [known for known in self._known if known not in ids]:
            signals += self.gone(missing, "missing after a reconnection")
        for participant in present:
            signals += self._replaced(participant) + self.seen(participant)
        return signals

    def keys(self, participant: str, keys: str, event: str) -> list[Signal]:
        """A party pressed keys; `event` names the PBX's own event, so that one counts once."""
        known = self._known.get(participant)
        if known is None:
            if participant not in self._left:
                self._early.setdefault(participant, []).append((keys, event))
            return []
        if not keys or event in known.key_events:
            return []
        known.key_events.add(event)
        event_id = f"{known.leg}:keys:{event}"
        return [KeysPressed(event_id=event_id, leg=known.leg, at=self._now(), keys=keys)]

    def _replaced(self, participant: Participant) -> list[Signal]:
        """The end of an earlier call whose party had the same id, before the PBX restarted."""
        known = self._known.get(participant.id)
        back_to_start = known is not None and known.connected and participant.status != CONNECTED
        if not back_to_start:
            return []
        ended = self.gone(participant.id, "replaced after a reconnection")
        self._left.pop(participant.id, None)
        return ended

    def _ringing(self, known: _Known, participant: Participant) -> Ringing:
        party, own = participant.party_number or participant.party_dn, participant.dialled
        incoming = known.incoming
        return Ringing(
            event_id=f"{known.leg}:ringing",
            leg=known.leg,
            at=self._now(),
            incoming=incoming,
            from_number=party if incoming else self._dn,
            to_number=(own or self._dn) if incoming else party,
            session=participant.call,
        )

    def _remember_left(self, participant: str) -> None:
        self._left[participant] = None
        if len(self._left) > _REMEMBERED:
            del self._left[next(iter(self._left))]


def _cause(known: _Known) -> EndCause:
    if known.connected:
        return EndCause.COMPLETED
    return EndCause.CANCELLED if known.incoming else EndCause.NO_ANSWER
