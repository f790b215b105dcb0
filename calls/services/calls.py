"""What happens to a call while it runs and when it ends."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Mod
from django.utils import timezone

from agents.models import AgentVersion
from calls.jsontext import clean, clean_text
from calls.line.rows import Closing, EventRow, Item, TurnRow
from calls.models import Call, CallEvent, CallQuerySet, State, Utterance
from calls.providers.carriers.registry import carrier
from calls.services.notes import notes_keep
from calls.services.parting import (
    customer_leg,
    legs_let_go,
    reason_known_better,
    stream_await,
    stream_order,
)
from calls.voice.end_reasons import EndReason

# A server tells of its calls every 5 s; one that missed five of these is gone. So is one that
# missed one, and is not present either (`calls.line.presence`).
LOST_AFTER = timedelta(seconds=25)
GONE_AFTER = timedelta(seconds=7)
RING_LIMIT = timedelta(seconds=150)

FIGURES_AFTER = timedelta(minutes=1)  # where the worker that was asked at the call's end died
OLD_AFTER = FIGURES_AFTER + timedelta(minutes=10)
SWEEP_SECONDS = 10
_TURNS = 60  # sweeps, in which each old call has its turn once


def call_append(*, call_id: int, items: Sequence[Item]) -> None:
    """Store what happened in a call, in order. Storing the same again changes nothing."""
    events = [_event(call_id, item) for item in items if isinstance(item, EventRow)]
    turns = [_utterance(call_id, item) for item in items if isinstance(item, TurnRow)]
    if events:
        CallEvent.objects.bulk_create(events, ignore_conflicts=True)
    if turns:
        Utterance.objects.bulk_create(turns, ignore_conflicts=True)
    notes_keep(call_id=call_id, events=[item for item in items if isinstance(item, EventRow)])
    for item in items:
        if isinstance(item, Closing):
            call_close(call_id=call_id, closing=item)


def call_close(*, call_id: int, closing: Closing) -> bool:
    """End a call for good, once; what the sweeper only guessed (`server_lost`) is put right.

    A call whose sound got lost while its caller is still there is not over: a new stream is
    asked for. The end of a stream is nothing to a call that another one has taken over.
    """
    reason = reason_known_better(call_id=call_id, reason=closing.reason)
    ours = Call.objects.filter(pk=call_id)
    if closing.stream is not None:
        ours = ours.filter(streams=closing.stream)
        if not ours.exists():
            return False
        if reason == EndReason.MEDIA_LOST and stream_await(
            call_id=call_id, now=closing.ended_at, after=closing.stream
        ):
            return False
        if reason == EndReason.CALLER_HUNG_UP:  # not if the carrier asked for another stream
            ours = ours.exclude(state=State.LIVE, media_lost_at__isnull=False)
    open_or_swept = ~Q(state=State.ENDED) | Q(end_reason=EndReason.SERVER_LOST)
    closed = ours.filter(open_or_swept).update(
        state=State.ENDED,
        ended_at=closing.ended_at,
        end_reason=reason,
        media_lost_at=None,
        transfer_to=closing.transfer_to,
        providers=clean(closing.providers),
        finalised_at=None,
        updated_at=timezone.now(),
    )
    if closed:
        legs_let_go(
            call_id=call_id,
            reason=reason,
            transfer_to=closing.transfer_to,
            briefing=closing.briefing,
        )
        finalise_on_commit([call_id])
    return bool(closed)


def call_hand_over(*, call: Call, version: AgentVersion) -> None:
    """Another agent goes on with the call, with a greeting of its own: it is that one's now."""
    call.agent, call.version, call.greeting = version.agent, version, ""
    call.save(update_fields=["agent", "version", "greeting", "updated_at"])


def return_told(*, call: Call) -> None:
    """A caller whom nobody took was told so: what is lost from now on is no transfer."""
    if call.transfer_to:
        call.transfer_to = ""
        call.save(update_fields=["transfer_to", "updated_at"])


def calls_alive(*, call_ids: Sequence[int]) -> None:
    """The server still has these calls; one that was taken for lost is live again."""
    now = timezone.now()
    alive = Call.objects.filter(pk__in=call_ids, state=State.LIVE).update(heartbeat_at=now)
    if alive < len(call_ids):
        Call.objects.filter(
            pk__in=call_ids, state=State.ENDED, end_reason=EndReason.SERVER_LOST
        ).update(
            state=State.LIVE, ended_at=None, end_reason="", finalised_at=None, heartbeat_at=now
        )


def calls_sweep(*, now: datetime) -> int:
    """Close the current tenant's calls that no server holds any more; how many those were."""
    lost = _take_over(Call.objects.unheard_of_since(now - LOST_AFTER), now)
    silent = _locked(Call.objects.never_connected(now - RING_LIMIT))
    for call in silent:
        _end_swept(call, now, EndReason.CANCELLED)
    finalise_on_commit(call.pk for call in silent)
    return lost + len(silent)


def calls_of_gone_servers(*, present: Collection[str], now: datetime) -> int:
    """Close the current tenant's calls of servers that are not present; how many those were."""
    return _take_over(Call.objects.on_servers_gone(present, now - GONE_AFTER), now)


def call_unheard(*, call_id: int, streams: int, stopped_at: datetime, now: datetime) -> None:
    """Bring the sound back of a call whose stream its carrier stopped, if nobody else did.

    Whoever has a call notices the end of its stream within a moment; who does not is gone.
    """
    unnoticed = Call.objects.live().filter(
        pk=call_id, streams=streams, media_lost_at=None, heartbeat_at__lte=stopped_at
    )
    if unnoticed.exists():
        lost = Closing(EndReason.MEDIA_LOST, now, stream=streams)
        call_close(call_id=call_id, closing=lost)


def _take_over(unheard: CallQuerySet, now: datetime) -> int:
    """Have another server brought the sound of these; how many calls are over instead.

    They end when they were last heard of, with the turns that were stored until then.
    """
    waiting = _locked(unheard.filter(media_lost_at=None))
    lost = [call for call in waiting if not _comes_back(call, now)]
    for call in lost:
        _end_swept(call, call.heartbeat_at or now, EndReason.SERVER_LOST)
    finalise_on_commit(call.pk for call in lost)
    return len(lost)


def _comes_back(call: Call, now: datetime) -> bool:
    """Whether another server gets the call; a carrier that asks for one would have asked by now."""
    leg = customer_leg(call.pk)
    if leg is None or carrier(leg.carrier).asks_what_next:
        return False
    return stream_order(leg=leg, now=now)


def calls_without_figures(*, now: datetime) -> None:
    """Ask again for the figures of calls that ended a while ago and have none.

    For ten minutes at every sweep, then once in ten minutes each: calls whose figures cannot be
    made stand in nobody's way.
    """
    waiting = Call.objects.filter(state=State.ENDED, finalised_at=None)
    old = now - OLD_AFTER
    young = waiting.filter(ended_at__lt=now - FIGURES_AFTER, ended_at__gte=old)
    turn = int(now.timestamp() // SWEEP_SECONDS) % _TURNS
    turns = waiting.filter(ended_at__lt=old).alias(turn=Mod("pk", _TURNS)).filter(turn=turn)
    for asked in (young.order_by("-ended_at"), turns.order_by("-ended_at")):
        finalise_on_commit(asked.values_list("pk", flat=True)[:500])


def finalise_on_commit(call_ids: Iterable[int]) -> None:
    """Have a worker make the figures of these calls, once they are stored.

    A broker that is away is no reason to lose the end of a call: the sweeper asks again.
    """
    from calls.tasks import finalise_call
    from tenants.context import current_tenant_id

    tenant_id = current_tenant_id("calls.Call")

    def send(ids: Sequence[int] = tuple(call_ids)) -> None:
        for call_id in ids:
            finalise_call.delay(tenant_id, call_id)

    transaction.on_commit(send, robust=True)


def _locked(calls: CallQuerySet) -> list[Call]:
    return list(calls.select_for_update(skip_locked=True, of=("self",)))


def _end_swept(call: Call, ended_at: datetime, reason: EndReason) -> None:
    call.state, call.ended_at, call.end_reason = State.ENDED, ended_at, reason.value
    call.transfer_to = ""
    call.save(update_fields=["state", "ended_at", "end_reason", "transfer_to", "updated_at"])
    legs_let_go(call_id=call.pk, reason=reason)


def _event(call_id: int, item: EventRow) -> CallEvent:
    return CallEvent(
        call_id=call_id,
        sequence=item.sequence,
        at_ms=item.at,
        name=clean_text(item.name)[:64],
        data=clean(item.data),
    )


def _utterance(call_id: int, item: TurnRow) -> Utterance:
    turn = item.turn
    return Utterance(
        call_id=call_id,
        sequence=item.sequence,
        role=turn.role,
        text=clean_text(turn.text),
        heard_text=clean_text(turn.heard_text),
        interrupted=turn.interrupted,
        started_ms=turn.started,
        ended_ms=max(turn.started, turn.ended),
        metrics=clean(turn.metrics),
    )
