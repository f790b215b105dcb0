"""Twilio's side of telephone calls: its REST API, its callbacks, and what TwiML makes of a leg.

Written from what Twilio documents (twilio.md), not from our adapters, so that it can find their
mistakes. `twilio_script` carries out the documents; the media streams are `twilio.TwilioStream`.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from calls.simulator.cloud import Cloud
from calls.simulator.small_http import File, Request, Response
from calls.simulator.sounds import silent_recording
from calls.simulator.twilio import SIGNATURE_HEADER, Account, TwilioStream, new_sid, signature
from calls.simulator.twilio_relay import RelayLine
from calls.simulator.twilio_script import Script

VERSION = "2010-04-01"
_ENDED = frozenset({"completed", "busy", "no-answer", "canceled", "failed"})
_MOST_TWIML = 4000
Form = dict[str, str]


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever is at a number: what becomes of calling it.

    `status` is Twilio's word for not being answered. `keys` are pressed when asked for some;
    `answered_by` is what machine detection finds at the end of a greeting. Who `hangs_up` does so
    on a briefing.
    """

    status: str = ""
    keys: str = "1"
    answered_by: str = "human"
    hangs_up: bool = False


@dataclass(eq=False)
class Room:
    """A conference; it is over when somebody leaves whom it ends with."""

    name: str
    here: list[Leg] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def enter(self, leg: Leg) -> None:
        """Come in, and talk to whoever is there."""
        self.here.append(leg)
        if len(self.here) == 2:
            first, second = self.here
            first.bridged_to, second.bridged_to = second, first

    def leave(self, leg: Leg) -> None:
        """Go out."""
        self.here.remove(leg)


@dataclass(eq=False)
class Leg:
    """One telephone connection at Twilio."""

    direction: str
    from_number: str
    to_number: str
    sid: str = field(default_factory=lambda: new_sid("CA"))
    status: str = "queued"
    parent: Leg | None = None
    twiml: str = ""
    status_url: str = ""
    status_events: tuple[str, ...] = ("completed",)
    sequence: int = 0
    said: list[str] = field(default_factory=list)
    played: list[str] = field(default_factory=list)
    lines: list[TwilioStream | RelayLine] = field(default_factory=list)
    recordings: list[tuple[str, str]] = field(default_factory=list)  # (sid, who is told)
    bridged_to: Leg | None = None
    script: Script | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_alive(self) -> bool:
        return self.status not in _ENDED

    @property
    def stream(self) -> TwilioStream | None:
        """Its last media stream."""
        streams = [line for line in self.lines if isinstance(line, TwilioStream)]
        return streams[-1] if streams else None

    @property
    def relay(self) -> RelayLine | None:
        """Its last conversation in text."""
        relays = [line for line in self.lines if isinstance(line, RelayLine)]
        return relays[-1] if relays else None


class Refused(Exception):
    """A request that Twilio does not take."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def refusal(
    status: int, code: int, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    """An error as Twilio words it (twilio.md, 1)."""
    more = f"https://www.twilio.com/docs/errors/{code}"
    body = {"code": code, "message": message, "more_info": more, "status": status}
    return Response(status, body, headers or {})


class TwilioCloud(Cloud):
    """One account at Twilio, for one application at `server`.

    `hooks` is the path of the application's webhooks up to the kind of callback, which numbers
    of the account call. `requests` holds what the server asked for, as (method, path, form);
    `delivered` the callbacks, as (path, form, status), 0 for nobody there.
    """

    def __init__(self, server: str, hooks: str = "/api/v1/twilio", token: str = "t" * 32) -> None:
        super().__init__()
        self.account = Account(token, server.rstrip("/"))
        self.hooks = server.rstrip("/") + hooks
        self.people: dict[str, Person] = {}
        self.legs: dict[str, Leg] = {}
        self.rooms: dict[str, Room] = {}
        self.requests: list[tuple[str, str, dict[str, list[str]]]] = []
        self.delivered: list[tuple[str, Form, int]] = []
        self.files: dict[str, bytes] = {}
        self.attached: dict[str, File] = {}
        self.details: dict[str, Any] = {"friendly_name": "Simulated", "status": "active"}
        self.numbers: list[dict[str, Any]] = []
        self.api_keys: dict[str, str] = {}
        self.stream_class: type[TwilioStream] = TwilioStream
        self.relay_class: type[RelayLine] = RelayLine
        self.relay_error = ""  # with which every relay fails before it begins

    @property
    def sid(self) -> str:
        return self.account.sid

    @property
    def url(self) -> str:
        """What to set as the base of Twilio's API."""
        return f"http://127.0.0.1:{self.port}"

    async def _close_lines(self) -> None:
        for leg in self.legs.values():
            for line in leg.lines:
                await line.close()

    # --- what callers do --------------------------------------------------------------------

    async def call(self, *, to: str, caller: str) -> Leg:
        """Somebody calls a number of the account: it is asked what to do, and that is begun."""
        leg = self.add(Leg("inbound", caller, to, status="ringing"))
        leg.status_url = f"{self.hooks}/call-status"
        document = await self.ask(leg, f"{self.hooks}/incoming-call")
        if document is None:
            await self.end(leg, "failed")
        else:
            self.direct(leg, document)
        return leg

    async def hang_up(self, leg: Leg) -> None:
        """The one at the other end hangs up."""
        await self.end(leg, "completed")

    async def end(self, leg: Leg, status: str) -> None:
        """A leg is over: its document is given up, its stream stops, its status is told."""
        if not leg.is_alive:
            return
        await self.move(leg, status)
        leg.done.set()
        if leg.script is not None:
            await leg.script.give_up()
        for sid, url in leg.recordings:
            if url:
                await self._told_of(leg, sid, url, source="StartCallRecordingAPI")

    async def write(
        self, *, to: str, writer: str, text: str, attached: Sequence[File] = (), **more: str
    ) -> None:
        """Somebody writes to a number of the account; WhatsApp numbers say so themselves."""
        sid = new_sid("SM")
        more["NumMedia"] = str(len(attached))
        for place, file in enumerate(attached):
            path = f"Messages/{sid}/Media/{new_sid('ME')}"
            self.attached[path] = file
            more[f"MediaUrl{place}"] = f"{self.url}/{VERSION}/Accounts/{self.sid}/{path}"
            more[f"MediaContentType{place}"] = file.content_type
        form = {"MessageSid": sid, "SmsSid": sid, "SmsMessageSid": sid, "AccountSid": self.sid}
        form |= {"From": writer, "To": to, "Body": text, "NumSegments": "1"}
        form |= {"SmsStatus": "received", "ApiVersion": VERSION, **more}
        await self.tell(f"{self.hooks}/message", form)

    # --- callbacks --------------------------------------------------------------------------

    def call_form(self, leg: Leg) -> Form:
        """What every callback of a leg says (twilio.md, 2)."""
        form = {
            "AccountSid": self.sid,
            "ApiVersion": VERSION,
            "CallSid": leg.sid,
            "CallStatus": leg.status,
            "Direction": leg.direction,
            "From": leg.from_number,
            "To": leg.to_number,
        }
        return {**form, "ParentCallSid": leg.parent.sid} if leg.parent else form

    async def move(self, leg: Leg, status: str) -> None:
        """A leg has another status; who wants to know is told, by its number."""
        leg.status = status
        event = {"in-progress": "answered"}.get(status, "completed" if status in _ENDED else status)
        form = {
            **self.call_form(leg),
            "Timestamp": format_datetime(datetime.now(UTC)),
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(leg.sequence),
        }
        leg.sequence += 1
        if leg.status_url and event in leg.status_events:
            await self.tell(leg.status_url, form)

    async def ask(self, leg: Leg, url: str, **more: str) -> str | None:
        """Ask what to do with a leg; the document, or None where none came (11200)."""
        answer = await self._post(url, {**self.call_form(leg), **more})
        ok = answer is not None and answer.is_success and "xml" in answer.headers["content-type"]
        return answer.text if ok and answer is not None else None

    async def fetch(self, url: str) -> bytes | None:
        """A file that is to be played; None where there is none (11200).

        A leg that goes on meanwhile does not break the request off.
        """
        answer = await asyncio.shield(self.later(self._http.get(self._reachable(url))))
        return answer.content if answer.is_success else None

    async def tell(self, url: str, form: Form) -> None:
        """Send a callback whose answer matters to nobody."""
        await self._post(url, form)

    async def _post(self, url: str, form: Form) -> httpx.Response | None:
        """Sign a form for the address that was told, and post it to where the server is."""
        told, address = urlsplit(url), self._reachable(url)
        headers = {SIGNATURE_HEADER: signature(self.account.auth_token, url, form)}
        try:
            answer = await self._http.post(address, data=form, headers=headers)
        except httpx.HTTPError:
            self.delivered.append((told.path, form, 0))
            return None
        self.delivered.append((told.path, form, answer.status_code))
        return answer

    def _reachable(self, url: str) -> str:
        """Where the server is, for the address that was told."""
        server = urlsplit(self.account.server)
        return urlsplit(url)._replace(scheme=server.scheme, netloc=server.netloc).geturl()

    # --- legs -------------------------------------------------------------------------------

    def add(self, leg: Leg) -> Leg:
        self.legs[leg.sid] = leg
        return leg

    def child(self, leg: Leg, number: str, caller_id: str) -> Leg:
        """A leg that another one dials."""
        return self.add(Leg("outbound-dial", caller_id or leg.to_number, number, parent=leg))

    def room(self, name: str) -> Room:
        """The conference of that name, new if it is."""
        return self.rooms.setdefault(name, Room(name))

    def end_room(self, room: Room) -> None:
        """All are sent out; who asks for it by name then finds another one."""
        room.over.set()
        if self.rooms.get(room.name) is room:
            del self.rooms[room.name]

    def direct(self, leg: Leg, document: str) -> None:
        """Have a leg do what a document says, and nothing that it did before."""
        before, leg.script = leg.script, Script(self, leg, document)
        leg.script.begin(after=before)

    async def ring(self, leg: Leg) -> bool:
        """Call the person at the leg's number; whether they picked up."""
        person = self.person(leg)
        await self.move(leg, "initiated")
        await self.move(leg, "ringing")
        if not leg.is_alive:
            return False
        if person.status:
            await self.end(leg, person.status)
            return False
        await self.move(leg, "in-progress")
        return leg.is_alive

    def person(self, leg: Leg) -> Person:
        """Who is at the number that a leg calls, or calls from."""
        inbound = leg.direction == "inbound"
        return self.people.get(leg.from_number if inbound else leg.to_number, Person())

    async def _placed(self, leg: Leg, form: Mapping[str, str]) -> None:
        if not await self.ring(leg):
            return
        found = self._found_out(leg, form)
        beside = found and form.get("AsyncAmd") == "true"
        asked = {} if beside else found
        document = await self.ask(leg, form["Url"], **asked) if "Url" in form else leg.twiml
        if document is None:
            await self.end(leg, "failed")
            return
        self.direct(leg, document)
        if beside and (url := form.get("AsyncAmdStatusCallback")):
            told = {"CallSid": leg.sid, "AccountSid": self.sid, "MachineDetectionDuration": "1800"}
            await self.tell(url, {**told, **found})

    def _found_out(self, leg: Leg, form: Mapping[str, str]) -> Form:
        """What machine detection says (twilio.md, 6), if it was asked for."""
        if not form.get("MachineDetection"):
            return {}
        answered_by = self.person(leg).answered_by
        if form["MachineDetection"] == "Enable" and answered_by.startswith("machine"):
            answered_by = "machine_start"
        return {"AnsweredBy": answered_by}

    async def recorded(self, leg: Leg, sound: bytes, status: str = "completed") -> str:
        """A recording of the leg is told of at the server's webhook; its sid."""
        sid = new_sid("RE")
        if status == "completed":
            self.files[sid] = sound
        await self._told_of(leg, sid, f"{self.hooks}/recording", status)
        return sid

    async def _told_of(
        self, leg: Leg, sid: str, url: str, status: str = "completed", source: str = "OutboundAPI"
    ) -> None:
        form = {
            "AccountSid": self.sid,
            "CallSid": leg.sid,
            "RecordingSid": sid,
            "RecordingUrl": f"{self.url}/{VERSION}/Accounts/{self.sid}/Recordings/{sid}",
            "RecordingStatus": status,
            "RecordingDuration": "7",
            "RecordingChannels": "2",
            "RecordingSource": source,
        }
        await self.tell(url, form)

    # --- the REST API -----------------------------------------------------------------------

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        if request.parts[0] == "cdn":  # where media are redirected to, without our key
            file = self.attached["/".join(request.parts[1:])]
            return Response(200, file.content, {"content-type": file.content_type})
        keys = {self.sid: self.account.auth_token, **self.api_keys}
        known = {base64.b64encode(f"{name}:{key}".encode()).decode() for name, key in keys.items()}
        if request.headers.get("authorization", "").removeprefix("Basic ") not in known:
            return refusal(401, 20003, "Authenticate")
        form = parse_qs(request.body.decode(), keep_blank_values=True)
        self.requests.append((request.method, request.path, form))
        try:
            return await self._answer(request, form)
        except Refused as refused:
            return refusal(refused.status, refused.code, str(refused))

    async def _answer(self, request: Request, form: dict[str, list[str]]) -> Response:
        root, _, rest = urlsplit(request.path).path.partition(f"/Accounts/{self.sid}")
        if root != f"/{VERSION}":
            raise Refused(404, 20404, "The requested resource was not found")
        match request.method, rest.removesuffix(".json").strip("/").split("/"):
            case "GET", [""]:
                return Response(200, {"sid": self.sid, **self.details})
            case "GET", ["IncomingPhoneNumbers"]:
                return Response(200, {"incoming_phone_numbers": self.numbers, "page": 0})
            case "GET", ["Recordings", name] if name.removesuffix(".wav") in self.files:
                return Response(200, self.files[name.removesuffix(".wav")])
            case "GET", ["Messages", _, "Media", _] if rest.strip("/") in self.attached:
                return Response(307, b"", {"location": f"{self.url}/cdn{rest}"})
            case "POST", ["Calls"]:
                return Response(201, self._dial(form))
            case "POST", ["Calls", sid]:
                return Response(200, await self._change(self._found(sid), form))
            case "POST", ["Calls", sid, "Recordings"]:
                return Response(201, self._record(self._found(sid), form))
            case "POST", ["Messages"]:
                return Response(201, self._send(form))
        raise Refused(404, 20404, f"The requested resource {rest} was not found")

    def _found(self, sid: str) -> Leg:
        if sid not in self.legs:
            raise Refused(404, 20404, f"The requested resource /Calls/{sid}.json was not found")
        return self.legs[sid]

    def _dial(self, form: dict[str, list[str]]) -> dict[str, Any]:
        said = {name: values[-1] for name, values in form.items()}
        if not said.get("To", "").startswith(("+", "sip:", "client:")):
            raise Refused(400, 21211, f"The 'To' number {said.get('To')} is not valid")
        twiml = said.get("Twiml", "")
        if len(twiml) > _MOST_TWIML or not (twiml or said.get("Url")):
            raise Refused(400, 21205, "Url, or Twiml of at most 4000 characters, must be there")
        leg = self.add(Leg("outbound-api", said.get("From", ""), said["To"], twiml=twiml))
        leg.status_url = said.get("StatusCallback", "")
        leg.status_events = tuple(form.get("StatusCallbackEvent", ["completed"]))
        self.later(self._placed(leg, said))
        return self._as_json(leg)

    async def _change(self, leg: Leg, form: dict[str, list[str]]) -> dict[str, Any]:
        said = {name: values[-1] for name, values in form.items()}
        if not leg.is_alive:
            raise Refused(400, 21220, "Call is not in-progress. Cannot redirect.")
        leg.status_url = said.get("StatusCallback", leg.status_url)
        if said.get("Status") == "completed":
            await self.end(leg, "completed" if leg.status == "in-progress" else "canceled")
        elif "Twiml" in said:
            if leg.status != "in-progress":
                raise Refused(400, 21220, "Call is not in-progress. Cannot redirect.")
            self.direct(leg, said["Twiml"])
        return self._as_json(leg)

    def _record(self, leg: Leg, form: dict[str, list[str]]) -> dict[str, Any]:
        """Each request makes another recording of the leg, which is there once that is over."""
        if leg.status != "in-progress":
            raise Refused(400, 21220, "Requested resource is not eligible for recording")
        sid = new_sid("RE")
        self.files[sid] = silent_recording()
        leg.recordings.append((sid, form.get("RecordingStatusCallback", [""])[-1]))
        return {"sid": sid, "call_sid": leg.sid, "status": "in-progress", "channels": 2}

    def _as_json(self, leg: Leg) -> dict[str, Any]:
        return {
            "sid": leg.sid,
            "account_sid": self.sid,
            "from": leg.from_number,
            "to": leg.to_number,
            "status": leg.status,
            "direction": leg.direction,
            "parent_call_sid": leg.parent.sid if leg.parent else None,
        }

    def _send(self, form: dict[str, list[str]]) -> dict[str, Any]:
        said = {name: values[-1] for name, values in form.items()}
        if not (said.get("Body") or said.get("MediaUrl") or said.get("ContentSid")):
            raise Refused(400, 21602, "Message body is required.")
        sid = new_sid("SM")
        self.later(self._deliver_message(sid, said))
        return {"sid": sid, "status": "queued", "from": said.get("From"), "to": said.get("To")}

    async def _deliver_message(self, sid: str, said: Mapping[str, str]) -> None:
        """It goes out, and arrives; or fails, where nobody is at the number."""
        person = self.people.get(said["To"].removeprefix("whatsapp:"), Person())
        for status in ("sent", "undelivered" if person.status else "delivered"):
            form = {"MessageSid": sid, "MessageStatus": status, "AccountSid": self.sid}
            form |= {"From": said["From"], "To": said["To"], "ApiVersion": VERSION}
            if status == "undelivered":
                form["ErrorCode"] = "30003"
            if "StatusCallback" in said:
                await self.tell(said["StatusCallback"], form)
