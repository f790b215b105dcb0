"""What is made of a call once it is over: its figures and a plain summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from django.utils import timezone

from calls.figures import Figures, Spoken, figures_of, latency_in
from calls.models import Call, Recording, State, Utterance
from calls.recordings import recordings_folder
from calls.summary import outline_of, summary_of

_WAV_HEADER, _FRAME_BYTES = 44, 4


def call_finalise(*, call: Call) -> bool:
    """Fill in figures, summary and recording of an ended call; False if there was nothing to do.

    Everything comes from the stored turns and events, so that doing it again gives the same. A
    call that was made live again meanwhile, or ended anew, keeps what it is: it will have its own.
    """
    if call.state != State.ENDED or call.finalised_at is not None or call.ended_at is None:
        return False
    turns = list(call.utterances.order_by("sequence"))
    events = list(call.events.order_by("sequence"))
    outline = outline_of(turns, events)
    now = timezone.now()
    as_it_was = Call.objects.filter(
        pk=call.pk, state=State.ENDED, ended_at=call.ended_at, finalised_at=None
    )
    finalised = as_it_was.update(
        **asdict(_figures(call, turns)),
        outline=outline,
        summary=summary_of(outline, call),
        finalised_at=now,
        updated_at=now,
    )
    if not finalised:
        return False
    for recording in call.recordings.filter(source=Recording.Source.OURSELVES):
        _finish_recording(recording)
    return True


def _figures(call: Call, turns: Sequence[Utterance]) -> Figures:
    spoken = [
        Spoken(
            role=turn.role,
            started=turn.started_ms,
            ended=turn.ended_ms,
            interrupted=turn.interrupted,
            response_latency=latency_in(turn.metrics),
        )
        for turn in turns
    ]
    lasted = 0.0
    if call.answered_at is not None and call.ended_at is not None:
        lasted = (call.ended_at - call.answered_at).total_seconds() * 1000
    return figures_of(spoken, lasted)


def _finish_recording(recording: Recording) -> None:
    path = recordings_folder() / recording.path
    size = path.stat().st_size if path.is_file() else 0
    if size <= _WAV_HEADER:
        recording.state = Recording.State.MISSING
    else:
        recording.state = Recording.State.READY
        frames = (size - _WAV_HEADER) // _FRAME_BYTES
        recording.size_bytes = size
        recording.duration_ms = frames * 1000 // recording.sample_rate
    recording.save(update_fields=["state", "size_bytes", "duration_ms", "updated_at"])
