"""Telnyx's side of telephone calls: its REST API, its signed webhooks and its media streams.

Written from what Telnyx documents (telnyx.md), not from our adapters, so that it can find their
mistakes. What the documentation leaves open is marked `ours`.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from calls.simulator.cloud import Cloud
from calls.simulator.small_http import File, Request, Response
from calls.simulator.telnyx_legs import Leg, Person
from calls.simulator.telnyx_stream import TelnyxStream

OK: dict[str, Any] = {"data": {"result": "ok"}}
_WITHOUT_NUMBERS = ("streaming.", "call.speak.", "call.playback.")  # by the SDK's models
_STREAM_FIELDS = ("stream_url", "stream_codec", "stream_bidirectional_codec", "custom_parameters")


class Refused(Exception):
    """A command that Telnyx does not take."""

    def __init__(self, status: int, code: str, title: str) -> None:
        super().__init__(title)
        self.status, self.code, self.title = status, code, title


def refusal(
    status: int, code: str, title: str, headers: Mapping[str, str] | None = None
) -> Response:
    """An error as Telnyx words it."""
    error = {"code": code, "title": title, "detail": f"{title}.", "source": {"pointer": "/"}}
    return Response(status, {"errors": [error]}, headers or {})


class TelnyxCloud(Cloud):
    """One account at Telnyx, for one application at `server`.

    `webhook_path` is where the application sends its webhooks. `requests` holds what the server
    asked for, as (path, body); `delivered` the webhooks, each with the status it got.
    """

    def __init__(
        self,
        server: str,
        webhook_path: str = "/api/v1/telnyx/call-control",
        *,
        key: str = "right-key",
        connection_id: str = "1234567890",
        private_key: Ed25519PrivateKey | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.server, self.webhook_url = server.rstrip("/"), server.rstrip("/") + webhook_path
        self.key, self.connection_id, self.clock = key, connection_id, clock
        self.private_key = private_key or Ed25519PrivateKey.generate()
        self.people: dict[str, Person] = {}
        self.legs: dict[str, Leg] = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.delivered: list[tuple[dict[str, Any], int]] = []
        self.recordings: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.file_types: dict[str, str] = {}
        self.application: dict[str, Any] = {
            "id": connection_id,
            "record_type": "call_control_application",
            "application_name": "Simulated",
            "active": True,
            "webhook_api_version": "2",
            "webhook_event_url": self.webhook_url,
            "outbound": {"outbound_voice_profile_id": "1"},
        }
        self.encoding = ""  # of the callers' lines, where it is not what the server asks for
        self.stream_class: type[TelnyxStream] = TelnyxStream
        self._answers: dict[str, dict[str, Any]] = {}

    @property
    def public_key(self) -> str:
        """What to set as the account's public key."""
        return base64.b64encode(self.private_key.public_key().public_bytes_raw()).decode()

    @property
    def url(self) -> str:
        """What to set as the base of Telnyx's API."""
        return f"http://127.0.0.1:{self.port}/v2"

    async def _close_lines(self) -> None:
        for leg in self.legs.values():
            if leg.stream is not None:
                await leg.stream.close()

    # --- what callers do --------------------------------------------------------------------

    async def call(self, *, to: str, caller: str) -> Leg:
        """Somebody calls a number of the account: the webhook goes out, and the leg is parked."""
        leg = self._leg(Leg("incoming", caller, to))
        await self.tell(leg, "call.initiated", direction="incoming", state="parked")
        return leg

    async def end(self, leg: Leg, cause: str, source: str, sip: str = "unspecified") -> None:
        """A leg is over: its stream stops, and with a bridge the other one is over as well."""
        if not leg.is_alive:
            return
        leg.state = "ended"
        if leg.stream is not None:
            await leg.stream.end()
            await self.tell(leg, "streaming.stopped", stream_url=leg.asked.get("stream_url"))
        await self.tell(
            leg, "call.hangup", state="hangup", hangup_cause=cause, hangup_source=source,
            sip_hangup_cause=sip,
        )  # fmt: skip
        leg.done.set()
        leg.settled.set()
        if leg.bridged_to is not None:
            await self.end(leg.bridged_to, "normal_clearing", "callee")

    async def record(self, leg: Leg, sound: bytes) -> None:
        """A recording of the leg was saved; its address is `files`' and may be taken away."""
        number = str(uuid.uuid4())
        self.files[number] = sound
        address = f"http://127.0.0.1:{self.port}/files/{number}"
        self.recordings[number] = {
            "id": number,
            "record_type": "recording",
            "call_leg_id": leg.leg_id,
            "call_session_id": leg.session,
            "download_urls": {"wav": address},
        }
        ids = {name: leg.ids()[name] for name in ("call_leg_id", "call_session_id")}
        now = self._now()
        payload = {**ids, "channels": "dual", "recording_urls": {"wav": address}}
        times = {"recording_started_at": now, "recording_ended_at": now}
        await self.post_event("call.recording.saved", {**payload, **times}, self.webhook_url)

    async def write(
        self, *, to: str, writer: str, text: str, kind: str = "SMS", files: Iterable[File] = ()
    ) -> None:
        """Somebody writes to a number of the account; `kind` is SMS, MMS or WHATSAPP."""
        media = [self._kept(file) for file in files]
        payload = {**_message(kind, writer, to), "direction": "inbound", "text": text}
        await self.post_event("message.received", {**payload, "media": media}, self.webhook_url)

    def _kept(self, file: File) -> dict[str, Any]:
        number = str(uuid.uuid4())
        self.files[number], self.file_types[number] = file.content, file.content_type
        url = f"http://127.0.0.1:{self.port}/files/{number}"
        return {"url": url, "content_type": file.content_type, "size": len(file.content)}

    # --- webhooks ---------------------------------------------------------------------------

    async def tell(self, leg: Leg, kind: str, **payload: Any) -> None:
        """Send a webhook of a leg, and wait for the answer."""
        ids = {**leg.ids(), "connection_id": self.connection_id}
        if kind.startswith(_WITHOUT_NUMBERS):
            del ids["from"], ids["to"]
        await self.post_event(kind, {**ids, **payload}, leg.webhook_url or self.webhook_url)

    async def post_event(self, kind: str, payload: Mapping[str, Any], url: str) -> None:
        """Send any webhook."""
        data = {
            "record_type": "event",
            "event_type": kind,
            "id": str(uuid.uuid4()),
            "occurred_at": self._now(),
            "payload": dict(payload),
        }
        await self.deliver({"data": data, "meta": {"attempt": 1, "delivered_to": url}}, url)

    async def deliver(self, envelope: dict[str, Any], url: str) -> None:
        """Sign and post one webhook. Nobody answering counts as status 0."""
        body = json.dumps(envelope).encode()
        address = urlsplit(self.server)._replace(path=urlsplit(url).path).geturl()
        try:
            headers = {**self.signed(body), "content-type": "application/json"}
            answer = await self._http.post(address, content=body, headers=headers)
            status = answer.status_code
        except httpx.HTTPError:
            status = 0
        self.delivered.append((envelope, status))

    def signed(self, body: bytes) -> dict[str, str]:
        """The headers that sign a body (telnyx.md, 2.2)."""
        stamp = str(int(self.clock()))
        signature = self.private_key.sign(f"{stamp}|".encode() + body)
        return {
            "telnyx-timestamp": stamp,
            "telnyx-signature-ed25519": base64.b64encode(signature).decode(),
        }

    def _now(self) -> str:
        return datetime.fromtimestamp(self.clock(), UTC).isoformat().replace("+00:00", "Z")

    # --- the REST API -----------------------------------------------------------------------

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        if request.parts[0] == "files":
            name = request.parts[-1]
            kind = {"content-type": self.file_types.get(name, "audio/wav")}
            return Response(200, self.files[name], kind) if name in self.files else Response(403)
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return refusal(401, "10009", "Authentication failed")
        self.requests.append((request.path, request.json()))
        try:
            return Response(200, await self._answer(request))
        except Refused as refused:
            return refusal(refused.status, refused.code, refused.title)

    async def _answer(self, request: Request) -> dict[str, Any]:
        match request.method, request.parts[1:]:
            case "POST", ["calls"]:
                return self._once(request.json(), self._dial)
            case "POST", ["calls", leg, "actions", action]:
                return self._once(request.json(), lambda body: self._command(leg, action, body))
            case "GET", ["calls", leg]:
                return {"data": {**self._found(leg).ids(), "is_alive": self._found(leg).is_alive}}
            case "POST", ["messages", *_]:
                return self._sent(request)
            case "GET", ["recordings", *rest]:
                return self._recordings(rest, request.query)
            case "GET", ["call_control_applications", self.connection_id]:
                return {"data": self.application}
        raise Refused(404, "10005", "Resource not found")

    def _sent(self, request: Request) -> dict[str, Any]:
        """A message goes out. Only WhatsApp's comes again with its key without going out again."""
        known = request.parts[-1] == "whatsapp"
        key = (request.headers.get("idempotency-key") if known else None) or str(uuid.uuid4())
        if key not in self._answers:
            body = request.json()
            data = _message(body.get("type", "SMS"), body["from"], body["to"])
            data = {**data, "direction": "outbound", "text": body.get("text")}
            self._answers[key] = {"data": data}
            self.later(self._deliver_message(data, body.get("webhook_url") or self.webhook_url))
        return self._answers[key]

    async def _deliver_message(self, data: dict[str, Any], url: str) -> None:
        """It goes out, and arrives; or fails, where nobody is at the number."""
        arrives = not self.people.get(data["to"][0]["phone_number"], Person()).hangup_cause
        last = "delivered" if arrives else "delivery_failed"
        for kind, status in ("message.sent", "sent"), ("message.finalized", last):
            to = [{**data["to"][0], "status": status}]
            failed = [{"code": "40001", "title": "Not routable"}] if not arrives else []
            errors = failed if kind == "message.finalized" else []
            await self.post_event(kind, {**data, "to": to, "errors": errors}, url)

    def _recordings(self, rest: list[str], query: Mapping[str, str]) -> dict[str, Any]:
        if rest:
            if rest[0] not in self.recordings:
                raise Refused(404, "10005", "Resource not found")
            return {"data": self.recordings[rest[0]]}
        name, wanted = "call_leg_id", query.get("filter[call_leg_id]")
        if wanted is None:
            name, wanted = "call_session_id", query.get("filter[call_session_id]")
        return {"data": [found for found in self.recordings.values() if found[name] == wanted]}

    def _once(
        self, body: dict[str, Any], do: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> dict[str, Any]:
        """A command that comes again with its `command_id` is answered, and not done again."""
        command_id = str(body.get("command_id") or uuid.uuid4())
        if command_id not in self._answers:
            self._answers[command_id] = do(body)
        return self._answers[command_id]

    def _found(self, leg_id: str) -> Leg:
        leg = self.legs.get(leg_id)
        if leg is None:
            raise Refused(404, "10005", "Resource not found")
        return leg

    def _dial(self, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("connection_id") != self.connection_id:
            raise Refused(422, "10015", "Invalid value for connection_id")
        leg = self._leg(Leg("outgoing", body["from"], body["to"], state="bridging"))
        if body.get("link_to"):
            leg.session = self._found(body["link_to"]).session
        self._note(leg, body)
        leg.webhook_url = body.get("webhook_url", "")
        self.later(self._ring(leg, detect="answering_machine_detection" in body))
        ids = ("call_control_id", "call_leg_id", "call_session_id")
        data = {name: leg.ids()[name] for name in ids}
        return {"data": {**data, "is_alive": False, "record_type": "call"}}

    def _leg(self, leg: Leg) -> Leg:
        self.legs[leg.id] = leg
        return leg

    def _note(self, leg: Leg, body: Mapping[str, Any]) -> None:
        """Keep what a command sets for all that follows."""
        leg.asked |= {name: body[name] for name in _STREAM_FIELDS if name in body}
        leg.client_state = body.get("client_state", leg.client_state)

    # --- commands ---------------------------------------------------------------------------

    def _command(self, leg_id: str, action: str, body: dict[str, Any]) -> dict[str, Any]:
        leg = self._found(leg_id)
        if not leg.is_alive:
            raise Refused(422, "90018", "Call has already ended")
        fitting = {"answer": ("parked",), "reject": ("parked",), "hangup": (leg.state,)}
        if leg.state not in fitting.get(action, ("answered",)):  # its code is not documented: ours
            raise Refused(422, "90000", f"{action} is not possible while {leg.state}")
        self._note(leg, body)
        if action == "playback_stop" and not leg.playing:  # whether it says so: ours
            raise Refused(422, "90000", "Nothing is played")
        work = {
            "answer": self._answered,
            "reject": self._rejected,
            "hangup": self._hung_up,
            "speak": self._spoken,
            "playback_start": self._playback_started,
            "playback_stop": self._playback_stopped,
            "gather_using_speak": self._gathered,
            "transfer": self._transferred,
            "bridge": self._bridge_asked,
            "streaming_start": self._stream_asked,
            "send_dtmf": self._pressed,
            "client_state_update": self._pressed,
        }.get(action)
        if work is None:
            raise Refused(404, "10005", "Resource not found")
        if action == "bridge" and not self._found(body["call_control_id"]).is_alive:
            raise Refused(422, "90018", "Call has already ended")
        self.later(work(leg, body))
        return OK

    async def _answered(self, leg: Leg, _body: Mapping[str, Any]) -> None:
        leg.state = "answered"
        await self.tell(leg, "call.answered", state="answered")
        if leg.asked.get("stream_url"):
            await self._open_stream(leg)

    async def _rejected(self, leg: Leg, body: Mapping[str, Any]) -> None:
        await self.end(leg, "user_busy" if body["cause"] == "USER_BUSY" else "call_rejected",
                       "callee")  # fmt: skip

    async def _hung_up(self, leg: Leg, _body: Mapping[str, Any]) -> None:
        await self.end(
            leg, "normal_clearing", "callee" if leg.direction == "incoming" else "caller"
        )

    async def _playback_started(self, leg: Leg, body: Mapping[str, Any]) -> None:
        """A file that can be fetched is played until it is stopped, even to a leg that is joined.

        That joining does not end it is ours.
        """
        url = leg.playing = body["audio_url"]
        fetched = await self._http.get(url)
        if not fetched.is_success or not fetched.content.startswith(b"RIFF"):
            leg.playing = ""
            await self.tell(leg, "call.playback.ended", media_url=url, status="file_not_found")
            return
        leg.played.append(url)
        await self.tell(leg, "call.playback.started", media_url=url)

    async def _playback_stopped(self, leg: Leg, _body: Mapping[str, Any]) -> None:
        url, leg.playing = leg.playing, ""
        await self.tell(leg, "call.playback.ended", media_url=url, status="cancelled")

    async def _spoken(self, leg: Leg, body: Mapping[str, Any]) -> None:
        """What is played is over by itself, or never: only an order ends it before."""
        if leg.playing and body.get("stop") != "all":
            return
        if leg.playing:
            await self._playback_stopped(leg, body)
        await self.tell(leg, "call.speak.started")
        await self.tell(leg, "call.speak.ended", status="completed")

    async def _gathered(self, leg: Leg, _body: Mapping[str, Any]) -> None:
        keys = self.people.get(leg.to_number, Person()).keys
        status = "valid" if keys else "timeout"
        await self.tell(leg, "call.gather.ended", digits=keys, status=status)

    async def _transferred(self, leg: Leg, body: Mapping[str, Any]) -> None:
        other = self._leg(Leg("outgoing", body.get("from", ""), body["to"], leg.session))
        other.client_state = body.get("target_leg_client_state")
        other.webhook_url = body.get("webhook_url", "")
        await self._ring(other)
        if other.is_alive:
            await self._join(leg, other)

    async def _bridge_asked(self, leg: Leg, body: Mapping[str, Any]) -> None:
        await self._join(leg, self._found(body["call_control_id"]))

    async def _join(self, leg: Leg, other: Leg) -> None:
        leg.bridged_to, other.bridged_to = other, leg
        await self.tell(leg, "call.bridged")
        await self.tell(other, "call.bridged")

    async def _pressed(self, _leg: Leg, _body: Mapping[str, Any]) -> None:
        """Nothing that a webhook would tell of."""

    async def _stream_asked(self, leg: Leg, _body: Mapping[str, Any]) -> None:
        await self._open_stream(leg)

    async def _ring(self, leg: Leg, *, detect: bool = False) -> None:
        """Call the person at the leg's number, and see what they do."""
        person = self.people.get(leg.to_number, Person())
        await self.tell(leg, "call.initiated", direction="outgoing", state="bridging")
        if person.hangup_cause:
            await self.end(leg, person.hangup_cause, "callee")
            return
        await self._answered(leg, {})
        if detect:
            found = person.detected
            await self.tell(leg, "call.machine.premium.detection.ended", result=found)
            if found == "machine":
                await self.tell(leg, "call.machine.premium.greeting.ended", result=person.greeting)

    async def _open_stream(self, leg: Leg) -> None:
        """Connect to the server's socket, at the address where it is reached from here."""
        asked, base = leg.asked, urlsplit(self.server)
        scheme = "wss" if base.scheme == "https" else "ws"
        url = urlsplit(asked["stream_url"])._replace(scheme=scheme, netloc=base.netloc).geturl()
        start = {**leg.ids(), "custom_parameters": _named(asked.get("custom_parameters", ()))}
        encoding = self.encoding or asked.get("stream_codec", "PCMU")
        speaks = asked.get("stream_bidirectional_codec", "PCMU")
        try:
            leg.stream = await self.stream_class.open(
                url, start=start, encoding=encoding, speaks=speaks
            )
        except Exception as error:  # whatever the server's socket is refused with
            await self.tell(leg, "streaming.failed", failure_reason=type(error).__name__)
            leg.settled.set()
            return
        leg.stream.on_stop = lambda: self.end(leg, "normal_clearing", "caller")
        await leg.stream.start()
        leg.settled.set()
        await self.tell(leg, "streaming.started", stream_url=asked["stream_url"])


def _named(parameters: Any) -> dict[str, str]:
    return {parameter["name"]: parameter["value"] for parameter in parameters}


def _message(kind: str, writer: str, to: str) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "record_type": "message",
        "type": kind,
        "from": {"phone_number": writer},
        "to": [{"phone_number": to, "status": "queued"}],
    }
