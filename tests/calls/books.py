"""What the application has stored of a desk's calls."""

from __future__ import annotations

from typing import Any

from calls.models import Call
from tenants.db import run_in_tenant
from tests.calls.waiting import until


class Books:
    """For stand-ins that know whose calls they are."""

    desk: Any

    async def rows(self, model: Any, **filters: Any) -> list[Any]:
        """The desk's tenant's rows, the first first."""
        return await run_in_tenant(
            self.desk.tenant.id, lambda: list(model.objects.filter(**filters).order_by("pk"))
        )

    async def call(self, **expected: Any) -> Call:
        """The desk's one call, once it is as expected."""

        async def fits() -> Call | None:
            found = await self.rows(Call)
            assert len(found) <= 1
            as_expected = found and all(getattr(found[0], k) == v for k, v in expected.items())
            return found[0] if as_expected else None

        found: Call = await until(fits)
        return found
