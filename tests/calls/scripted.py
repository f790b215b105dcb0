"""A desk whose calls a script hears and speaks, for modules that import both of the fixtures."""

from __future__ import annotations

from typing import Any

import pytest

from tenants.models import Tenant
from tests.calls.conftest import Desk, staff_desk
from tests.calls.phone import QUICK, on_a_script

TRANSCRIBER = {"provider": "embedded", "languages": ["es-MX"], "turns": QUICK}


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path
    on_a_script(monkeypatch)


@pytest.fixture
def desk(tenant: Tenant) -> Desk:
    return staff_desk(tenant, "+525512340001", transcriber=TRANSCRIBER)
