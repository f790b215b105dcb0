"""Whom never to call."""

from __future__ import annotations

from calls.models import DoNotCall
from calls.number_files import number_rows
from tenants import audit
from tenants.audit import Actor
from tenants.db import tenant_transaction
from tenants.models import Tenant


def do_not_call_add(
    *, number: str, actor: Actor, source: DoNotCall.Source, reason: str = ""
) -> DoNotCall:
    """Put an E.164 number on the current tenant's list; one that is there stays as it is."""
    entry: DoNotCall
    entry, created = DoNotCall.objects.get_or_create(
        number=number, defaults={"reason": reason[:200], "source": source}
    )
    if created:
        audit.record(action="donotcall.created", actor=actor, target=entry)
    return entry


def do_not_call_import(*, tenant: Tenant, text: str, actor: Actor) -> int:
    """Add a CSV file's numbers (`number` and, if wanted, `reason`); how many are new.

    Raises FileFaults with every faulty line, and then adds nothing.
    """
    rows = number_rows(text, strict=False, columns=("reason",))
    with tenant_transaction(tenant.pk):
        before = DoNotCall.objects.count()
        DoNotCall.objects.bulk_create(
            [
                DoNotCall(
                    number=row.number,
                    reason=row.values.get("reason", "")[:200],
                    source=DoNotCall.Source.IMPORTED,
                )
                for row in rows
            ],
            ignore_conflicts=True,
            batch_size=1000,
        )
        new = DoNotCall.objects.count() - before
        audit.record(
            action="donotcall.imported",
            actor=actor,
            changes={"rows": len(rows), "new": new},
        )
    return new
