"""The PBX's interface: tokens, REST, events and sound, as threecx.md sections 2 to 6 have them."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import parse_qs, unquote

from calls.providers.carriers.asgi import Message, Receive, Send
from calls.simulator.pbx.parties import FRAME_BYTES, Dn, Json, Party, Telephone
from calls.simulator.pbx.web import HttpError, Request, serving

UPSET, REMOVE, DTMF = 0, 1, 2
DEVICE = "sip:ai@127.0.0.1:5060;transport=tcp"


def jwt(number: int, lifetime: int = 3600) -> str:
    """A token whose claims tell its life, whatever `expires_in` says."""
    issued = int(time.time())
    claims = json.dumps({"jti": number, "iat": issued, "exp": issued + lifetime}).encode()
    return f"eyJhbGciOiJSUzI1NiJ9.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"


class Pbx:
    """One PBX with one API client. `telephones` says how who is called behaves, by number."""

    def __init__(self, secret: str, client_id: str = "ai") -> None:
        self.client_id, self.secret = client_id, secret
        self.url = ""
        self.telephones: dict[str, Telephone] = {}
        self.dns = {
            client_id: Dn(client_id, "Wroutepoint", (DEVICE,)),
            "200": Dn("200", "Wextension", ("sip:200@10.0.0.2:5060",)),
            "201": Dn("201", "Wextension"),
            "800": Dn("800", "Wqueue"),
        }
        self.token, self.minted = "", 0
        self.requests: list[tuple[str, str]] = []
        self.on_party: Callable[[Party], None] = lambda _party: None
        self._ids = itertools.count(17)
        self._sequence = itertools.count(60)
        self._listeners: set[asyncio.Queue[Json | None]] = set()
        self._streams: set[asyncio.Task[None]] = set()
        self._calling: set[asyncio.Task[None]] = set()

    @property
    def own(self) -> Dn:
        """The API client's route point."""
        return self.dns[self.client_id]

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator[Self]:
        """Serve until the block ends."""
        try:
            async with serving(self, port) as self.url:
                yield self
        finally:
            calling = list(self._calling)
            for ringing in calling:
                ringing.cancel()
            await asyncio.gather(*calling, return_exceptions=True)

    # --- calls ------------------------------------------------------------------------------

    def ring(
        self, number: str = "+491701234567", dialled: str = "+493012345", **more: Any
    ) -> Party:
        """Somebody calls the route point."""
        return self._enter(self.own, "Ringing", number=number, dialled=dialled, name="Max", **more)

    def _enter(self, dn: Dn, status: str, **fields: Any) -> Party:
        number = next(self._ids)
        party = Party(number, dn.dn, status, number + 25, **fields)
        dn.parties[number] = party
        self.changed(party)
        self.on_party(party)
        return party

    def leave(self, party: Party, *, tell: bool = True) -> None:
        """A party is gone: its streams end, and a removal is told."""
        if self.dns[party.dn].parties.pop(party.id, None) is None:
            return
        party.left.set()
        if tell:
            self.push(REMOVE, self.path_of(party))

    def changed(self, party: Party) -> None:
        """Tell that a party is new or different."""
        self.push(UPSET, self.path_of(party))

    def press(self, party: Party, keys: str) -> None:
        """A party presses keys."""
        self.push(DTMF, self.path_of(party), {"dtmf_input": keys})

    @staticmethod
    def path_of(party: Party) -> str:
        return f"/callcontrol/{party.dn}/participants/{party.id}"

    def push(self, kind: int, entity: str, data: Json | None = None) -> None:
        """Send an event to whoever listens now; nobody gets it later."""
        event = {"event_type": kind, "entity": entity, "attached_data": data}
        self.deliver({"sequence": next(self._sequence), "event": event})

    def deliver(self, event: Json) -> None:
        """Hand one event to all sockets."""
        for listener in self._listeners:
            listener.put_nowait(event)

    @property
    def listened_to(self) -> bool:
        """Whether an event socket is open."""
        return bool(self._listeners)

    # --- the interface ------------------------------------------------------------------------

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] == "websocket":
            await self._events(scope, receive, send)
            return
        request = Request(scope, receive, send)
        self.requests.append((request.method, request.path))
        try:
            await self.answer(request)
        except HttpError as error:
            await request.answer(error.status, {"message": error.reason})

    async def answer(self, request: Request) -> None:
        """Answer one request; `HttpError`s become answers too."""
        if request.path == "/connect/token":
            await request.answer(200, await self._mint(request))
            return
        self._check_token(request.headers.get("authorization", ""))
        parts = [unquote(part) for part in request.path.strip("/").split("/")]
        if ":" in request.path:
            raise HttpError(404, "an id that is not percent-encoded")
        if parts[0] != "callcontrol":
            raise HttpError(404, "no such path")
        await self._route(request, parts[1:])

    async def _route(self, request: Request, parts: list[str]) -> None:
        match (request.method, *parts):
            case ("GET",):
                await request.answer(200, [dn.as_json() for dn in self.dns.values()])
            case ("GET", dn):
                await request.answer(200, self._dn(dn).as_json())
            case ("GET", dn, "devices"):
                found = self._dn(dn)
                await request.answer(200, [found.device(each) for each in found.devices])
            case ("GET", dn, "participants"):
                parties = self._dn(dn).parties.values()
                await request.answer(200, [party.as_json() for party in parties])
            case ("GET", dn, "participants", number):
                await request.answer(200, self._party(dn, number).as_json())
            case ("GET", dn, "participants", number, "stream"):
                await self._streaming(self.emit(request, self._own_party(dn, number)))
            case ("POST", dn, "participants", number, "stream"):
                await self._streaming(self._absorb(request, self._own_party(dn, number)))
            case ("POST", dn, "devices", device, "makecall"):
                await self._make_call(request, dn, device)
            case ("POST", dn, "participants", number, action):
                body = await self._json(request)
                await request.answer(200, await self.act(self._own_party(dn, number), action, body))
            case _:
                raise HttpError(404, "no such path")

    async def _mint(self, request: Request) -> Json:
        form = {k: v[0] for k, v in parse_qs((await request.body()).decode()).items()}
        expected = (self.client_id, self.secret, "client_credentials")
        if (form.get("client_id"), form.get("client_secret"), form.get("grant_type")) != expected:
            raise HttpError(401, "invalid_client")
        self.revoke()
        self.minted += 1
        self.token = jwt(self.minted)
        return {
            "token_type": "Bearer", "expires_in": 60,
            "access_token": self.token, "refresh_token": None,
        }  # fmt: skip

    def revoke(self) -> None:
        """The token is worth nothing any more, and the streams that it opened end."""
        self.token = ""
        for stream in list(self._streams):
            stream.cancel()

    def _check_token(self, header: str) -> None:
        if not self.token or header != f"Bearer {self.token}":
            raise HttpError(401, "the token is not valid")

    def _dn(self, dn: str) -> Dn:
        if dn not in self.dns:
            raise HttpError(404, f"no DN {dn}")
        return self.dns[dn]

    def _party(self, dn: str, number: str) -> Party:
        party = self._dn(dn).parties.get(int(number)) if number.isdigit() else None
        if party is None:
            raise HttpError(404, f"no participant {number}")
        return party

    def _own_party(self, dn: str, number: str) -> Party:
        party = self._party(dn, number)
        if dn != self.client_id:
            raise HttpError(403, "not your leg")
        return party

    @staticmethod
    async def _json(request: Request) -> Json:
        """The JSON object that every action needs, even when it is empty."""
        try:
            body = json.loads(await request.body())
        except ValueError:
            body = None
        if not isinstance(body, dict) or "json" not in request.headers.get("content-type", ""):
            raise HttpError(422, "a JSON body is required, even an empty one")
        return body

    # --- actions ------------------------------------------------------------------------------

    async def act(self, party: Party, action: str, body: Json) -> Json:
        """Do one action; what it answers."""
        actions: dict[str, Callable[[Party, Json], Awaitable[Json]]] = {
            "answer": self._answer,
            "drop": self._drop,
            "divert": self._divert,
            "routeto": self._route_to,
            "transferto": self._route_to,
        }
        if action not in actions:
            raise HttpError(422, f"no action {action}")
        return await actions[action](party, body)

    async def _answer(self, party: Party, _body: Json) -> Json:
        if party.status != "Ringing":
            raise HttpError(422, "not ringing")
        party.connect()
        self.changed(party)
        return _success(party)

    async def _drop(self, party: Party, _body: Json) -> Json:
        self.leave(party)
        return _success(party)

    async def _divert(self, party: Party, body: Json) -> Json:
        if party.status != "Ringing":
            raise HttpError(422, "only while it rings")
        party.routed_to = body["destination"]
        self.leave(party)
        return _success(party)

    async def _route_to(self, party: Party, body: Json) -> Json:
        """Ring somebody while the caller stays; delivered once it is picked up."""
        telephone = self.telephones.get(body["destination"], Telephone())
        limit = float(body.get("timeout", 20))
        await asyncio.sleep(min(limit, telephone.picks_up_after))
        reason = telephone.reason or ("NoAnswer" if telephone.picks_up_after > limit else "")
        if reason:
            return _failure(reason)
        party.routed_to = body["destination"]
        return _success(party)

    async def _make_call(self, request: Request, dn: str, device: str) -> None:
        body = await self._json(request)
        if dn != self.client_id or device not in self.own.devices:
            raise HttpError(404, "no such device")
        telephone = self.telephones.get(body["destination"], Telephone())
        if telephone.reason:
            await request.answer(200, _failure(telephone.reason))
            return
        party = self._enter(self.own, "Dialing", number=body["destination"], began_here=True)
        picked_up = asyncio.create_task(self._pick_up(party, telephone, body.get("timeout", 30)))
        self._calling.add(picked_up)
        picked_up.add_done_callback(self._calling.discard)
        await self.respond(request, _success(party))

    async def respond(self, request: Request, content: Json) -> None:
        """Tell what came of a call that was placed."""
        await request.answer(200, content)

    async def _pick_up(self, party: Party, telephone: Telephone, limit: float) -> None:
        await asyncio.sleep(min(limit, telephone.picks_up_after))
        if telephone.picks_up_after > limit:
            self.leave(party)
        elif not party.left.is_set():
            party.connect()
            self.changed(party)

    # --- sound --------------------------------------------------------------------------------

    async def _streaming(self, work: Coroutine[Any, Any, None]) -> None:
        """A stream ends with its token; the socket is cut then, without a proper end."""
        stream = asyncio.create_task(work)
        self._streams.add(stream)
        try:
            await asyncio.wait({stream})
        finally:
            stream.cancel()
            self._streams.discard(stream)
        if not stream.cancelled():
            stream.result()

    async def emit(self, request: Request, party: Party) -> None:
        """The party's sound as chunks, until it leaves."""
        party.listening += 1
        await request.begin()
        speaking = asyncio.create_task(self._speak(request, party))
        ends = {asyncio.create_task(party.left.wait()), asyncio.create_task(request.gone())}
        try:
            await asyncio.wait({speaking, *ends}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            party.listening -= 1
            for task in (speaking, *ends):
                task.cancel()
        await request.end()

    async def _speak(self, request: Request, party: Party) -> None:
        while True:
            await self.send_sound(request, await party.frames.get())

    async def send_sound(self, request: Request, pcm: bytes) -> None:
        """Put one piece of sound on the wire."""
        await request.piece(pcm)

    async def _absorb(self, request: Request, party: Party) -> None:
        """Take the sound for the party, as it is posted."""
        if request.headers.get("transfer-encoding", "") != "chunked":
            raise HttpError(422, "one long request in chunks is needed")
        party.speaking += 1
        try:
            async for pcm in self.absorbed(request):
                if party.left.is_set():
                    break
                if pcm:
                    party.hear(pcm)
        finally:
            party.speaking -= 1
        await request.answer(200)

    def absorbed(self, request: Request) -> AsyncIterator[bytes]:
        """What is posted, as fast as the PBX reads it."""
        return request.pieces()

    # --- events -------------------------------------------------------------------------------

    async def _events(self, scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        headers = {k.decode().lower(): v.decode() for k, v in scope["headers"]}
        try:
            self.check_listener(scope["path"], headers.get("authorization", ""))
        except HttpError as error:
            status = error.status
            await send({"type": "websocket.http.response.start", "status": status, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b""})
            return
        await send({"type": "websocket.accept"})
        events: asyncio.Queue[Json | None] = asyncio.Queue()
        self._listeners.add(events)
        leaving = asyncio.create_task(_until_left(receive, events))
        try:
            while (event := await events.get()) is not None:
                await send({"type": "websocket.send", "text": json.dumps(event)})
        finally:
            self._listeners.discard(events)
            left = leaving.done()
            leaving.cancel()
        if not left:
            await send({"type": "websocket.close", "code": 1001})

    def check_listener(self, path: str, token: str) -> None:
        """Raises HttpError for who may not listen."""
        if path != "/callcontrol/ws":
            raise HttpError(404, "no such path")
        self._check_token(token)

    def cut_events(self) -> None:
        """Close every event socket."""
        for listener in self._listeners:
            listener.put_nowait(None)


async def _until_left(receive: Receive, events: asyncio.Queue[Json | None]) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        pass
    events.put_nowait(None)


def _success(party: Party) -> Json:
    return {
        "finalstatus": "Success", "reason": "None", "result": party.as_json(), "reasontext": "",
    }  # fmt: skip


def _failure(reason: str) -> Json:
    return {
        "finalstatus": "Failed", "reason": reason, "result": None,
        "reasontext": f"the call could not be delivered: {reason}",
    }  # fmt: skip


async def keep_talking(party: Party, pcm: bytes) -> None:
    """Speak frames of 20 ms every 20 ms, over and over, until the party leaves."""
    frames = itertools.cycle(pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES))
    due = time.monotonic()
    while not party.left.is_set():
        party.say(next(frames))
        due += 0.02
        await asyncio.sleep(max(0.0, due - time.monotonic()))
