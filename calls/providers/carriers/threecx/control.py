"""The Call Control API in its own words: DNs, devices, participants and their actions.

What it cannot do at all (threecx.md, 4): hold, mute, send keys, join two legs that are there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from agents.brain.errors import BadRequest, ProviderDown
from calls.providers.carriers.port import InVain
from calls.providers.carriers.signals import EndCause
from calls.providers.carriers.threecx.entities import DnState, Participant, participant_of
from calls.providers.carriers.threecx.rest import NAME, NotThere, ThreeCxRest, leg_gone

log = logging.getLogger(__name__)

Entity = TypeVar("Entity", DnState, Participant)

# An action that waits for a telephone to be picked up answers this much after it, at the latest.
ANSWER_SECONDS = 10.0

# Done twice, these are as good as done once; how long is waited, in seconds, before they are.
_HARMLESS = frozenset({"answer", "drop"})
_WAITS = (0.1, 0.4)

_CAUSES = {
    "NoAnswer": EndCause.NO_ANSWER,
    "PhoneBusy": EndCause.BUSY,
    "PhoneNotRegistered": EndCause.FAILED,
    "NoDestinations": EndCause.UNKNOWN_NUMBER,
    "ForwardAll": EndCause.REJECTED,
}


class ActionFailed(InVain):
    """The PBX took the command and did not succeed; `cause` is its reason in our words."""

    def __init__(self, message: str, cause: EndCause) -> None:
        super().__init__(NAME, message, cause)


class CallControl:
    """One route point of one PBX."""

    def __init__(self, rest: ThreeCxRest) -> None:
        self.rest = rest
        self.dn = rest.credentials.client_id
        self._device = ""

    # --- looking ----------------------------------------------------------------------------

    async def states(self) -> list[DnState]:
        """Every DN that this client may see."""
        found = await self.rest.get("/callcontrol")
        if not isinstance(found, list):
            raise ProviderDown(NAME, "GET /callcontrol answered no list")
        return [_read(DnState, item) for item in found if isinstance(item, Mapping)]

    async def state(self, dn: str) -> DnState:
        """One DN. Raises NotThere."""
        return _read(DnState, await self.rest.get(f"/callcontrol/{quote(dn, safe='')}"))

    async def participant(self, dn: str, participant: str) -> Participant:
        """One party. Raises NotThere when it has left."""
        path = f"/callcontrol/{quote(dn, safe='')}/participants/{quote(participant, safe='')}"
        return _read(Participant, await self.rest.get(path))

    async def own(self, leg: str) -> Participant:
        """The party of a leg of ours. Raises LegGone."""
        try:
            return await self.participant(self.dn, participant_of(leg))
        except NotThere:
            raise leg_gone(leg) from None

    # --- doing ------------------------------------------------------------------------------

    async def act(
        self, leg: str, action: str, body: Mapping[str, Any], seconds: float = ANSWER_SECONDS
    ) -> None:
        """Do something with a leg of ours. Raises LegGone and ActionFailed."""
        path = self._path(f"/participants/{quote(participant_of(leg), safe='')}/{action}")
        try:
            answer = await self._post(path, body, seconds, _WAITS if action in _HARMLESS else ())
        except NotThere:
            raise leg_gone(leg) from None
        _check(answer, action)

    async def _post(
        self, path: str, body: Mapping[str, Any], seconds: float, waits: Sequence[float]
    ) -> Any:
        """Post, and again after each wait while the PBX stumbles: a caller rings meanwhile."""
        for wait in waits:
            try:
                return await self.rest.post(path, body, seconds)
            except ProviderDown as error:
                log.warning("%s is asked again: %s", path, error)
                await asyncio.sleep(wait)
        return await self.rest.post(path, body, seconds)

    async def make_call(self, destination: str, ring_seconds: int) -> Participant:
        """Call somebody from the route point; our own party of the new call."""
        body = {"destination": destination, "timeout": ring_seconds, "reason": "None"}
        try:
            answer = await self._make_call(body, ring_seconds)
        except NotThere:  # a device's id is not for ever
            self._device = ""
            answer = await self._make_call(body, ring_seconds)
        if _has_failed(answer) or not _has_result(answer):
            raise _failure(answer, "makecall")
        return _read(Participant, {"dn": self.dn, **answer["result"]})

    async def _make_call(self, body: Mapping[str, Any], ring_seconds: int) -> Mapping[str, Any]:
        device = quote(await self._own_device(), safe="")
        path = self._path(f"/devices/{device}/makecall")
        return _object(await self.rest.post(path, body, ring_seconds + ANSWER_SECONDS))

    async def _own_device(self) -> str:
        """The route point's only device."""
        if not self._device:
            found = await self.rest.get(self._path("/devices"))
            devices = found if isinstance(found, list) else []
            known = (each for each in devices if isinstance(each, Mapping))
            ids = [str(each.get("device_id") or "") for each in known]
            self._device = next((each for each in ids if each), "")
        if not self._device:
            raise BadRequest(NAME, f"the route point {self.dn} has no device to call from")
        return self._device

    def stream_path(self, leg: str) -> str:
        """Where a leg's sound is fetched from and sent to."""
        return self._path(f"/participants/{quote(participant_of(leg), safe='')}/stream")

    def _path(self, rest: str) -> str:
        return f"/callcontrol/{quote(self.dn, safe='')}{rest}"


def _read(kind: type[Entity], answer: Any) -> Entity:
    """What the PBX told. Raises ProviderDown for what it cannot have meant."""
    try:
        return kind.read(_object(answer))
    except ValueError as error:
        raise ProviderDown(NAME, f"the PBX told of {error}") from None


def _object(answer: Any) -> Mapping[str, Any]:
    if not isinstance(answer, Mapping):
        raise ProviderDown(NAME, f"a JSON {type(answer).__name__} came, where an object belongs")
    return answer


def _check(answer: Any, action: str) -> None:
    """Raise for an action that failed. A body that says nothing is a success."""
    if isinstance(answer, Mapping) and _has_failed(answer):
        raise _failure(answer, action)


def _has_failed(answer: Mapping[str, Any]) -> bool:
    """A result without a clear word is a success, an unknown word without a result is none."""
    status = answer.get("finalstatus")
    if status in ("Failed", "Rejected"):
        return True
    return status not in (None, "Success") and not _has_result(answer)


def _has_result(answer: Mapping[str, Any]) -> bool:
    result = answer.get("result")
    return isinstance(result, Mapping) and result.get("id") not in (None, "")


def _failure(answer: Mapping[str, Any], action: str) -> ActionFailed:
    reason = str(answer.get("reason") or "None")
    said = answer.get("reasontext") or reason
    message = f"{action}: {answer.get('finalstatus') or 'no result'}, {said}"
    return ActionFailed(message, _CAUSES.get(reason, EndCause.FAILED))
