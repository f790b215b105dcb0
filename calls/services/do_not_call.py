"""Whom never to call."""

from __future__ import annotations

from calls.models import DoNotCall
from calls.number_files import number_rows
from tenants import audit
from tenants.audit import Actor

_Source = DoNotCall.Source


def do_not_call_add(
    *, number: str, actor: Actor, source: DoNotCall.Source, reason: str = ""
) -> tuple[DoNotCall, bool]:
    """Put an E.164 number on the current tenant's list; the entry, and whether it is new.

    One that is there stays as it is, but what only its owner had asked for becomes ours when we
    ask for it too: they cannot take that back.
    """
    entry: DoNotCall
    entry, created = DoNotCall.objects.get_or_create(
        number=number,
        defaults={
            "reason": reason[:200],
            "source": source,
            "added_by": audit.label_of(actor),
        },
    )
    if created:
        audit.record(action="donotcall.created", actor=actor, target=entry)
    elif entry.source == _Source.WRITTEN and source != _Source.WRITTEN:
        changes = {"source": [entry.source, source.value]}
        entry.source, entry.added_by = source, audit.label_of(actor)
        entry.reason = reason[:200] or entry.reason
        entry.save()
        audit.record(action="donotcall.changed", actor=actor, target=entry, changes=changes)
    return entry, created


def do_not_call_remove(*, entry: DoNotCall, actor: Actor) -> None:
    """Take a number off the list."""
    changes = audit.difference(audit.snapshot(entry), {})
    audit.record(action="donotcall.deleted", actor=actor, target=entry, changes=changes)
    entry.delete()


def do_not_call_take_back(*, number: str, actor: Actor) -> bool:
    """Undo what somebody had asked for in a message; False if that is not why it is listed."""
    entry = (
        DoNotCall.objects.select_for_update().filter(number=number, source=_Source.WRITTEN).first()
    )
    if entry is not None:
        do_not_call_remove(entry=entry, actor=actor)
    return entry is not None


def do_not_call_import(*, text: str, actor: Actor) -> int:
    """Add a CSV file's numbers (`number` and, if wanted, `reason`); how many are new.

    Raises FileFaults with every faulty line, and then adds nothing.
    """
    rows = number_rows(text, strict=False, columns=("reason",))
    by, before = audit.label_of(actor), DoNotCall.objects.count()
    entries = [
        DoNotCall(
            number=row.number,
            reason=row.values.get("reason", "")[:200],
            source=_Source.IMPORTED,
            added_by=by,
        )
        for row in rows
    ]
    DoNotCall.objects.bulk_create(entries, ignore_conflicts=True, batch_size=1000)
    new = DoNotCall.objects.count() - before
    numbers = [row.number for row in rows]
    DoNotCall.objects.filter(number__in=numbers, source=_Source.WRITTEN).update(
        source=_Source.IMPORTED, added_by=by
    )
    audit.record(action="donotcall.imported", actor=actor, changes={"rows": len(rows), "new": new})
    return new
