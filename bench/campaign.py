"""A campaign of 500 through a Telnyx that makes faults: is anybody lost, or called twice?

The whole product runs as in `make run`, with its own worker, database and broker. One request in
twenty meets a fault: an error, a cut connection before or after the command was done, a delay. One
webhook in twenty comes twice.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.figures import Figure
from bench.platform import Installation, running
from bench.server import HOST, ROOT, free_port
from calls.simulator.small_http import Request, Response
from calls.simulator.telnyx import TelnyxCloud, refusal
from calls.simulator.telnyx_legs import Person

PEOPLE, FAULTS = 500, 0.05
PER_MINUTE = 600
DELAY_SECONDS = 1.0  # longer than Telnyx's advice to ask again after
POLL_SECONDS = 1.0
MOST_SECONDS = 150.0
ENDS = ("user_busy", "no_answer", "call_rejected")

# Run by `manage.py shell`: a key, a line at Telnyx, and a campaign whose calls are tried again
# only where they failed. The clock is no matter here, so the window is the whole day.
PREPARE = """
import json, sys
from datetime import time
from agents.models import Agent
from calls.models import Number, OutboundSettings, RetryRule
from calls.number_files import number_rows
from calls.services.campaigns import campaign_create, campaign_fill, campaign_start
from tenants.db import tenant_transaction
from tenants.models import ApiKey, Tenant

with tenant_transaction(Tenant.objects.get(slug="demo").pk):
    number = Number.objects.select_related("agent").order_by("pk").first()
    Number.objects.update(carrier="telnyx")
    OutboundSettings.objects.create(
        window_opens=time(0), window_closes=time(23, 59, 59, 999999), max_at_once=500
    )
    key = ApiKey(name="bench", scopes=["calls.view"])
    text = key.draw_secret()
    key.save()
    campaign = campaign_create(
        name="Bench", agent=number.agent, number=number, actor="bench",
        calls_per_minute={per_minute}, max_at_once=500,
    )
    RetryRule.objects.exclude(outcome="failed").delete()
    RetryRule.objects.update(tries=3, after_minutes=1)
    rows = number_rows({audience!r}, strict=True)
    campaign_fill(campaign=campaign, rows=rows, actor="bench")
    campaign_start(campaign=campaign, actor="bench")
    print(json.dumps({{"key": text, "campaign": str(campaign.public_id)}}))
"""


class FaultyCloud(TelnyxCloud):
    """Does a share of what it is asked badly; the same share in the same order each time."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.chance = random.Random(20261121)
        self.faults: Counter[str] = Counter()

    async def handle(self, request: Request) -> Response:
        if self.chance.random() >= FAULTS:
            return await super().handle(request)
        fault = self.chance.choice(("error", "cut", "answer lost", "late"))
        self.faults[fault] += 1
        if fault == "error":
            return refusal(503, "10016", "Service unavailable")
        if fault == "cut":
            return Response(cut=True)
        answer = await super().handle(request)
        if fault == "answer lost":
            return Response(cut=True)
        await asyncio.sleep(DELAY_SECONDS)
        return answer

    async def deliver(self, envelope: dict[str, Any], url: str) -> None:
        await super().deliver(envelope, url)
        if self.chance.random() < FAULTS:
            self.faults["webhook twice"] += 1
            await super().deliver(envelope, url)

    def called(self) -> Counter[str]:
        """How often each number's telephone rang."""
        return Counter(leg.to_number for leg in self.legs.values() if leg.direction == "outgoing")


async def measure() -> list[Figure]:
    """Start the product, let it run its campaign, and compare who was called with the list."""
    private_key, port = Ed25519PrivateKey.generate(), free_port()
    numbers = [f"+525598{place:06d}" for place in range(PEOPLE)]
    cloud = FaultyCloud("http://unset", private_key=private_key)
    environment = {
        "TELNYX_API_KEY": cloud.key,
        "TELNYX_PUBLIC_KEY": cloud.public_key,
        "TELNYX_CONNECTION_ID": cloud.connection_id,
        "TELNYX_BASE_URL": f"http://{HOST}:{port}/v2",
    }
    for place, number in enumerate(numbers):
        cloud.people[number] = Person(hangup_cause=ENDS[place % len(ENDS)])
    with tempfile.TemporaryDirectory(prefix="andrea-bench-") as folder:
        async with running(Path(folder), environment) as product:
            cloud.server = product.url
            async with cloud.running(port):
                told = await _prepare(product, numbers)
                began = time.monotonic()
                campaign = await _finished(product, told)
                seconds = time.monotonic() - began
    return _figures(campaign, cloud, numbers, seconds)


def _figures(
    campaign: dict[str, Any], cloud: FaultyCloud, numbers: list[str], seconds: float
) -> list[Figure]:
    called, funnel = cloud.called(), campaign["funnel"]
    reached = sum(funnel["outcomes"].get(each, 0) for each in ("busy", "no_answer", "rejected"))
    return [
        Figure("people in the campaign", funnel["audience"], "people", PEOPLE, at_least=True),
        Figure("faults made", sum(cloud.faults.values()), "faults"),
        Figure("lost: never called", sum(number not in called for number in numbers), "people", 0),
        Figure("lost: without an outcome", PEOPLE - reached, "people", 0),
        Figure("called twice", sum(count > 1 for count in called.values()), "people", 0),
        Figure("called who was not in it", len(set(called) - set(numbers)), "people", 0),
        Figure("time for all", seconds, "s"),
    ]


async def _prepare(product: Installation, numbers: list[str]) -> dict[str, str]:
    audience = "number\n" + "\n".join(numbers)
    script = PREPARE.format(per_minute=PER_MINUTE, audience=audience)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "manage.py"), "shell", "-v0", "-c", script,
        cwd=ROOT,
        env={**os.environ, **product.environment},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("the campaign could not be prepared; see the messages above")
    told: dict[str, str] = json.loads(output.splitlines()[-1])
    return told


async def _finished(product: Installation, told: dict[str, str]) -> dict[str, Any]:
    """The campaign once everybody has an outcome, or as it is when the time is up."""
    headers = {"authorization": f"Bearer {told['key']}"}
    until = time.monotonic() + MOST_SECONDS
    async with httpx.AsyncClient(base_url=product.url, headers=headers, timeout=30) as client:
        while True:
            answer = await client.get(f"/api/v1/campaigns/{told['campaign']}/")
            campaign: dict[str, Any] = answer.raise_for_status().json()
            if campaign["state"] != "running" or time.monotonic() > until:
                return campaign
            await asyncio.sleep(POLL_SECONDS)
