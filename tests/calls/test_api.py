"""Calls over HTTP: to whom they belong, in pages, with their sound; and in the back office."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.test import AsyncClient
from django.urls import reverse
from django.utils import timezone

from calls.api.files import range_of
from calls.end_reasons import END_REASONS
from calls.models import Call, CallEvent, Number, Recording, RefusedCall, Utterance
from calls.recordings import recordings_folder
from tenants import audit
from tenants.db import tenant_transaction
from tenants.models import AuditEntry, Role

pytestmark = pytest.mark.django_db

CALLS = "/api/v1/calls/"
SOUND = b"RIFF" + bytes(range(256)) * 40


@pytest.fixture
def make_call(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path

    def make(desk, *, sound=False, **fields):
        now = timezone.now()
        given = {"state": "ended", "started_at": now, "answered_at": now, "ended_at": now,
                 "end_reason": "caller_hung_up", **fields}  # fmt: skip
        with tenant_transaction(desk.tenant.id):
            call = Call.objects.create(
                agent=desk.agent, version=desk.version, channel="twilio", language="es",
                carrier_id=uuid.uuid4().hex, **given,
            )  # fmt: skip
            Utterance.objects.create(
                call=call, sequence=0, role="caller", text="¿Hay tours?", started_ms=0, ended_ms=900
            )
            CallEvent.objects.create(call=call, sequence=0, at_ms=1.0, name="dtmf",
                                     data={"digit": "5"})  # fmt: skip
            if sound:
                path = recordings_folder() / f"{call.public_id}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(SOUND)
                Recording.objects.create(call=call, path=path.name, sample_rate=8000,
                                         state="ready", size_bytes=len(SOUND))  # fmt: skip
        return call

    return make


def bearer(key):
    return {"HTTP_AUTHORIZATION": f"Bearer {key}"}


def recording_url(call):
    return f"{CALLS}{call.public_id}/recording/"


# --- reading -------------------------------------------------------------------------------


def test_list_shows_the_latest_call_first(desk, make_call, login, staff):
    old = make_call(desk, started_at=timezone.now() - timedelta(days=1))
    new = make_call(desk)
    found = login(staff).get(CALLS).json()["results"]
    assert [call["id"] for call in found] == [str(new.public_id), str(old.public_id)]
    assert found[0]["agent"] == {
        "id": str(desk.agent.public_id), "name": "Andrea", "version": 1,
    }  # fmt: skip
    assert "utterances" not in found[0]


def test_one_call_comes_with_everything(desk, make_call, login, staff):
    call = make_call(desk, sound=True)
    found = login(staff).get(f"{CALLS}{call.public_id}/").json()
    assert [u["text"] for u in found["utterances"]] == ["¿Hay tours?"]
    assert found["events"] == [
        {"sequence": 0, "at_ms": 1.0, "name": "dtmf", "data": {"digit": "5"}}
    ]
    assert found["recording"]["url"].endswith(recording_url(call))
    assert found["recording"]["size_bytes"] == len(SOUND)


def test_no_internal_number_leaves_the_api(desk, make_call, login, staff):
    call = make_call(desk, sound=True)
    body = login(staff).get(f"{CALLS}{call.public_id}/").json()
    names = set(body) | set(body["utterances"][0]) | set(body["recording"])
    assert not names & {"pk", "tenant", "tenant_id", "call_id", "path", "carrier_id"}
    assert body["id"] == str(call.public_id)


def test_pages_follow_each_other(desk, make_call, login, staff):
    for _ in range(3):
        make_call(desk)
    client = login(staff)
    first = client.get(CALLS, {"page_size": 2}).json()
    second = client.get(first["next"]).json()
    ids = [call["id"] for call in first["results"] + second["results"]]
    assert len(set(ids)) == 3
    assert second["next"] is None


def test_list_is_filtered_by_state_agent_and_time(desk, make_call, login, staff):
    live = make_call(desk, state="live", ended_at=None, end_reason="", heartbeat_at=timezone.now())
    make_call(desk, started_at=timezone.now() - timedelta(days=3))
    client = login(staff)

    def ids(**query):
        return [call["id"] for call in client.get(CALLS, query).json()["results"]]

    assert ids(state="live") == [str(live.public_id)]
    assert (len(ids(direction="inbound")), ids(direction="outbound")) == (len(ids()), [])
    yesterday = (timezone.now() - timedelta(days=1)).isoformat()
    assert ids(started_after=yesterday) == [str(live.public_id)]
    assert len(ids(started_before=yesterday)) == 1
    assert len(ids(agent=str(desk.agent.public_id))) == 2
    assert ids(agent=str(uuid.uuid4())) == []


@pytest.mark.parametrize(
    "query",
    [{"state": "odd"}, {"direction": "up"}, {"agent": "x"}, {"started_after": "soon"},
     {"started_after": "2026-01-01T00:00:00"}, {"started_before": "2026-13-45T00:00:00Z"}],
)  # fmt: skip
def test_filter_that_makes_no_sense_is_refused_with_a_reason(desk, login, staff, query):
    answer = login(staff).get(CALLS, query)
    assert answer.status_code == 400
    assert list(answer.json()) == list(query)


# --- to whom calls belong ------------------------------------------------------------------


def test_another_tenants_calls_are_not_found(desk, other_desk, make_call, login, outsider):
    call, own = make_call(desk, sound=True), make_call(other_desk)
    client = login(outsider)
    assert [c["id"] for c in client.get(CALLS).json()["results"]] == [str(own.public_id)]
    assert client.get(f"{CALLS}{call.public_id}/").status_code == 404
    assert client.get(recording_url(call)).status_code == 404


def test_another_tenants_key_finds_nothing(desk, make_call, make_api_key, other_tenant, client):
    call = make_call(desk, sound=True)
    key = make_api_key(other_tenant, ["calls.view", "recordings.listen"])
    assert client.get(CALLS, **bearer(key)).json()["results"] == []
    assert client.get(f"{CALLS}{call.public_id}/", **bearer(key)).status_code == 404
    assert client.get(recording_url(call), **bearer(key)).status_code == 404


def test_key_reads_what_its_scope_allows(desk, make_call, make_api_key, tenant, client):
    call = make_call(desk, sound=True)
    key = make_api_key(tenant, ["calls.view"])
    assert len(client.get(CALLS, **bearer(key)).json()["results"]) == 1
    assert client.get(recording_url(call), **bearer(key)).status_code == 403


@pytest.mark.parametrize("path", [CALLS, f"{CALLS}{uuid.UUID(int=1)}/",
                                  f"{CALLS}{uuid.UUID(int=1)}/recording/"])  # fmt: skip
def test_strangers_are_asked_who_they_are(client, path):
    assert client.get(path).status_code == 401
    assert client.get(path, **bearer("andrea_0123456789ab_wrong")).status_code == 401


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_calls_are_placed_and_never_written(desk, make_call, login, owner, method):
    call = make_call(desk)
    client = login(owner)
    assert getattr(client, method)(f"{CALLS}{call.public_id}/").status_code in {403, 405}
    refused = {400} if method == "post" else {403, 405}  # it places one, if it says to whom
    assert getattr(client, method)(CALLS).status_code in refused
    with tenant_transaction(desk.tenant.id):
        assert Call.objects.count() == 1


# --- sound -----------------------------------------------------------------------------------


def body(response):
    return b"".join(response.streaming_content)


def listened(desk):
    with tenant_transaction(desk.tenant.id):
        return list(
            AuditEntry.objects.filter(action="recording.listen").values_list("actor", flat=True)
        )


def test_listening_is_allowed_and_noted(desk, make_call, login, staff):
    call = make_call(desk, sound=True)
    answer = login(staff).get(recording_url(call))
    assert (answer.status_code, answer["Content-Type"]) == (200, "audio/wav")
    assert body(answer) == SOUND
    assert answer["Cache-Control"] == "private, no-store"
    assert listened(desk) == [staff.pk]


@pytest.fixture
def recorded_twice(desk, make_call):
    """A call that we and its carrier have recorded; the carrier's part is another sound."""
    call = make_call(desk, sound=True)
    path = recordings_folder() / "carriers.wav"
    path.write_bytes(SOUND[::-1])
    with tenant_transaction(desk.tenant.id):
        Recording.objects.create(
            call=call, source="carrier", carrier_id="RE1", path=path.name, sample_rate=8000,
            state="ready", duration_ms=2500, channels=1, size_bytes=len(SOUND),
        )  # fmt: skip
    return call


def test_every_recording_of_a_call_can_be_heard(desk, recorded_twice, login, staff):
    client = login(staff)
    found = client.get(f"{CALLS}{recorded_twice.public_id}/").json()
    ours, theirs = found["recordings"]
    assert [each["source"] for each in found["recordings"]] == ["ourselves", "carrier"]
    assert (theirs["seconds"], theirs["channels"], ours["channels"]) == (2.5, 1, 2)
    assert body(client.get(ours["url"])) == SOUND
    assert body(client.get(theirs["url"])) == SOUND[::-1]
    part = client.get(theirs["url"], headers={"Range": "bytes=100-199"})
    assert (part.status_code, body(part)) == (206, SOUND[::-1][100:200])
    assert body(client.get(found["recording"]["url"])) == SOUND
    assert listened(desk) == [staff.pk] * 2  # to the one, and to the other
    with tenant_transaction(desk.tenant.id):
        noted = AuditEntry.objects.filter(action="recording.listen").order_by("id")
        assert [each.changes["recording"] for each in noted] == [
            str(each.public_id) for each in recorded_twice.recordings.order_by("id")
        ]


def test_recording_is_found_in_its_own_call_alone(
    desk, recorded_twice, make_call, login, staff, outsider, make_member, tenant
):
    other = make_call(desk, sound=True)
    url = login(staff).get(f"{CALLS}{recorded_twice.public_id}/").json()["recordings"][1]["url"]
    elsewhere = url.replace(str(recorded_twice.public_id), str(other.public_id))
    assert login(staff).get(elsewhere).status_code == 404
    assert login(outsider).get(url).status_code == 404
    assert login(make_member(tenant, Role.ANALYST)).get(url).status_code == 403
    assert listened(desk) == []


def test_player_may_jump(desk, make_call, login, staff):
    call = make_call(desk, sound=True)
    answer = login(staff).get(recording_url(call), headers={"Range": "bytes=100-199"})
    assert answer.status_code == 206
    assert answer["Content-Range"] == f"bytes 100-199/{len(SOUND)}"
    assert body(answer) == SOUND[100:200]


@pytest.mark.parametrize("asked", ["bytes=0-", "bytes=1-", "bytes=-500", "bytes=2-9"])
def test_every_range_counts_as_listening(desk, make_call, login, staff, asked):
    call = make_call(desk, sound=True)
    login(staff).get(recording_url(call), headers={"Range": asked})
    assert listened(desk) == [staff.pk]


def test_ranges_of_one_listening_are_noted_once(desk, make_call, login, staff, owner, monkeypatch):
    call, other = make_call(desk, sound=True), make_call(desk, sound=True)
    for who, what in ((staff, call), (staff, call), (owner, call), (staff, other)):
        login(who).get(recording_url(what), headers={"Range": "bytes=7-"})
    assert sorted(listened(desk)) == sorted([staff.pk, staff.pk, owner.pk])
    later = timezone.now() + timedelta(minutes=11)
    monkeypatch.setattr("tenants.audit.timezone.now", lambda: later)
    with tenant_transaction(desk.tenant.id):
        assert audit.record_once(
            action="recording.listen", actor=staff, target=call, within=timedelta(minutes=10)
        )


async def test_sound_is_streamed_on_an_asynchronous_server():
    """Django would otherwise read the whole file into memory, and warn."""
    import tempfile
    from pathlib import Path

    from calls.api.files import _pieces_async

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        path.write_bytes(SOUND * 20)
        pieces = [piece async for piece in _pieces_async(path, 4, len(SOUND) * 20 - 1)]
    assert b"".join(pieces) == (SOUND * 20)[4:-1]
    assert len(pieces) > 1


@pytest.mark.parametrize("asked", ["bytes=99999-", "bytes=5-2", "bytes=-", "bytes=a-b",
                                   "bytes=0-1,4-5", "pages=1-2"])  # fmt: skip
def test_range_that_cannot_be_had_is_refused(desk, make_call, login, staff, asked):
    call = make_call(desk, sound=True)
    answer = login(staff).get(recording_url(call), headers={"Range": asked})
    assert answer.status_code == 416
    assert answer["Content-Range"] == f"bytes */{len(SOUND)}"
    assert listened(desk) == []


@pytest.mark.parametrize(
    ("asked", "span"),
    [("bytes=0-", (0, 10)), ("bytes=3-5", (3, 6)), ("bytes=3-99", (3, 10)), ("bytes=-4", (6, 10)),
     ("bytes=-99", (0, 10)), ("bytes=-0", None), ("bytes=10-", None),
     (f"bytes={'9' * 5000}-", None)],
)  # fmt: skip
def test_ranges(asked, span):
    assert range_of(asked, 10) == span


def test_recording_that_is_gone_is_not_found_and_nothing_is_noted(desk, make_call, login, staff):
    call = make_call(desk, sound=True)
    (recordings_folder() / f"{call.public_id}.wav").unlink()
    assert login(staff).get(recording_url(call)).status_code == 404
    assert listened(desk) == []


def test_analyst_sees_calls_and_hears_none(desk, make_call, login, make_member, tenant):
    call = make_call(desk, sound=True)
    client = login(make_member(tenant, Role.ANALYST))
    assert client.get(f"{CALLS}{call.public_id}/").status_code == 200
    assert client.get(recording_url(call)).status_code == 403
    assert listened(desk) == []


# --- the document, the health page, the back office --------------------------------------------


def test_openapi_document_describes_the_calls(login, staff):
    document = login(staff).get("/api/v1/schema/", HTTP_ACCEPT="application/json").json()
    assert {CALLS, CALLS + "{public_id}/", CALLS + "{public_id}/recording/"} <= set(
        document["paths"]
    )
    names = {p["name"] for p in document["paths"][CALLS]["get"]["parameters"]}
    assert {"state", "direction", "agent", "started_after", "started_before", "cursor"} <= names
    assert document["paths"][CALLS]["get"]["tags"] == ["calls"]
    assert document["components"]["schemas"]["CallEndReason"]["enum"] == list(END_REASONS)
    told = document["components"]["schemas"]["CodeEnum"]["enum"]
    assert set(told) == {
        "do_not_call", "outside_hours", "not_published", "no_caller_number", "invalid_number",
        "too_many_calls", "too_fast", "idempotency_conflict",
    }  # fmt: skip
    assert login(staff).get("/docs").status_code == 200


def test_an_address_of_the_api_that_is_not_there_is_told_in_json(client, db):
    answer = client.get("/api/v1/nothing/", headers={"accept-language": "en"})
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})
    assert "<h1>" in client.get("/nothing/").content.decode()


def test_health_shows_the_process(client, db):
    answer = client.get("/health")
    assert answer.status_code == 200
    found = answer.json()
    assert found["status"] == "ok"
    assert found["live_calls"] == 0
    assert found["database"]["ok"] is True
    assert found["redis"]["ok"] is True
    assert found["loop_lag_p99_ms"] >= 0
    kinds = {each["kind"] for each in found["providers"]}
    assert kinds == {"recogniser", "synthesiser", "model"}


@pytest.fixture
def back_office(login, operator, desk):
    client = login(operator)
    client.post(reverse("operator_tenant"), {"tenant": desk.tenant.pk, "next": "/admin/"})
    session = client.session
    session["operator_tenant"] = desk.tenant.pk
    session.save()
    return client


@pytest.mark.parametrize("model", ["call", "number", "recording", "refusedcall"])
def test_back_office_lists(back_office, desk, make_call, model):
    make_call(desk, sound=True)
    RefusedCall.objects.create(carrier="twilio", carrier_id="CA1", reason="busy", language="es")
    assert back_office.get(reverse(f"admin:calls_{model}_changelist")).status_code == 200


def test_calls_are_listed_by_why_they_ended(desk, make_call, back_office):
    call, _other = make_call(desk), make_call(desk)
    with tenant_transaction(desk.tenant.id):
        Call.objects.filter(pk=call.pk).update(end_reason="busy")
    listed = reverse("admin:calls_call_changelist")
    for reason, found in (("busy", [call.pk]), ("drained", []), ("nonsense", [])):
        page = back_office.get(listed, {"end_reason": reason})
        assert [each.pk for each in page.context["cl"].result_list] == found


def test_back_office_shows_a_call_with_its_words_and_audits_that(back_office, desk, make_call):
    call = make_call(desk)
    page = back_office.get(reverse("admin:calls_call_change", args=[call.pk]))
    assert page.status_code == 200
    assert "¿Hay tours?" in page.content.decode()
    shown = [name for _, part in page.context["adminform"].fieldsets for name in part["fields"]]
    assert sorted(shown) == sorted(set(shown))
    editable = {field.name for field in Call._meta.fields if field.editable}
    assert editable - set(shown) == {"id", "end_reason"}
    with tenant_transaction(desk.tenant.id):
        assert AuditEntry.objects.filter(action="call.viewed", is_operator=True).count() == 1


@pytest.mark.parametrize("page", ["changelist", "change"])
def test_back_office_says_why_a_call_ended_in_words(back_office, desk, make_call, page):
    call = make_call(desk, end_reason="caller_silent")
    address = reverse(f"admin:calls_call_{page}", args=[call.pk] if page == "change" else [])
    shown = back_office.get(address, headers={"accept-language": "es"}).content.decode()
    assert "guardó silencio demasiado tiempo" in shown
    assert ">caller_silent<" not in shown


def test_back_office_cannot_change_what_happened(back_office, desk, make_call):
    call = make_call(desk)
    answer = back_office.post(reverse("admin:calls_call_change", args=[call.pk]), {"state": "live"})
    assert answer.status_code == 403
    assert back_office.get(reverse("admin:calls_call_add")).status_code == 403
    with tenant_transaction(desk.tenant.id):
        assert Call.objects.get().state == "ended"


def test_back_office_routes_a_number(back_office, desk):
    answer = back_office.post(
        reverse("admin:calls_number_add"),
        {
            "e164": "+525500000009",
            "label": "x",
            "agent": desk.agent.pk,
            "carrier": "twilio",
            "is_active": "on",
        },
    )
    assert answer.status_code == 302
    with tenant_transaction(desk.tenant.id):
        assert Number.objects.filter(e164="+525500000009", agent=desk.agent).exists()


@pytest.mark.django_db(transaction=True)
async def test_recording_is_streamed_over_asgi(desk, make_call, make_api_key, tenant):
    from tenants.db import run_unscoped

    call = await run_unscoped(lambda: make_call(desk, sound=True))
    key = await run_unscoped(lambda: make_api_key(tenant, ["recordings.listen"]))
    answer = await AsyncClient().get(
        recording_url(call), headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.status_code == 200
    assert b"".join([piece async for piece in answer]) == SOUND
