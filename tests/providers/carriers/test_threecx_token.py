"""One live token for each client: who mints it, when, and who waits for that."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest

from agents.brain.errors import BadKey
from calls.providers.carriers.bearer import MemoryTokens, Token
from calls.providers.carriers.threecx.token import Tokens

HOUR = 3600.0


def jwt(name: str, lifetime: float = HOUR, issued: float = 5e9) -> str:
    """A token by a PBX whose clock is far from ours."""
    claims = json.dumps({"sub": name, "iat": issued, "exp": issued + lifetime}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.signature"


class Pbx:
    """Mints tokens and counts them; `gate` holds minting back, `fault` fails it."""

    def __init__(self, store: MemoryTokens | None = None, lifetime: float = HOUR) -> None:
        self.minted = 0
        self.seconds = 1000.0
        self.gate = asyncio.Event()
        self.gate.set()
        self.fault: Exception | None = None
        self.lifetime = lifetime
        self.store = store or MemoryTokens()

    async def mint(self) -> str:
        self.minted += 1
        number = self.minted
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return jwt(f"t{number}", self.lifetime)

    def process(self, *, carries: bool = True) -> Tokens:
        return Tokens("ai", self.mint, self.store, now=lambda: self.seconds, carries=carries)


async def test_one_token_serves_until_ten_minutes_before_its_end():
    pbx = Pbx()
    tokens = pbx.process()
    first = await tokens.current()
    pbx.seconds += HOUR - 601
    assert await tokens.current() == first
    pbx.seconds += 2
    assert await tokens.current() != first
    assert pbx.minted == 2


async def test_process_without_the_sound_leaves_renewing_to_the_one_that_has_it():
    """What it minted would end the other's calls, of which it knows nothing."""
    pbx = Pbx()
    carrier, other = pbx.process(), pbx.process(carries=False)
    first = await carrier.current()
    with carrier.streaming():
        pbx.seconds += HOUR - 500
        assert await other.current() == await carrier.current() == first
    assert await carrier.current() != first
    assert await other.current() == first  # until that is refused, or about to end
    assert await other.after_refusal(first) == await carrier.current()
    assert pbx.minted == 2


@pytest.mark.parametrize("text", ["opaque", "a.b.c", "e30.e30.x", jwt("t", 0), jwt("t", -5)])
def test_a_token_without_sensible_claims_lives_as_documented(text):
    assert Token.received(text, 10.0).expires_at == 10.0 + HOUR


async def test_no_token_is_minted_while_sound_flows_until_it_is_as_good_as_dead():
    pbx = Pbx()
    tokens = pbx.process()
    first = await tokens.current()
    with tokens.streaming():
        pbx.seconds += HOUR - 31
        assert await tokens.current() == first
        pbx.seconds += 2
        assert await tokens.current() != first
    assert pbx.minted == 2


async def test_all_who_ask_at_once_share_one_renewal():
    pbx = Pbx()
    pbx.gate.clear()
    tokens = pbx.process()
    asking = [asyncio.create_task(tokens.current()) for _ in range(20)]
    await asyncio.sleep(0)
    pbx.gate.set()
    assert len(set(await asyncio.gather(*asking))) == 1
    assert pbx.minted == 1


async def test_a_refused_token_is_replaced_once_however_many_were_refused():
    pbx = Pbx()
    tokens = pbx.process()
    dead = await tokens.current()
    again = await asyncio.gather(*(tokens.after_refusal(dead) for _ in range(20)))
    assert len(set(again)) == 1
    assert again[0] != dead
    assert await tokens.after_refusal(dead) == again[0]
    assert pbx.minted == 2


async def test_another_process_token_is_taken_and_not_minted_over():
    pbx = Pbx()
    ours, theirs = pbx.process(), pbx.process()
    first = await ours.current()
    assert await theirs.current() == first
    second = await theirs.after_refusal(first)
    assert await ours.after_refusal(first) == second
    assert pbx.minted == 2


async def test_two_processes_that_start_together_mint_one():
    pbx = Pbx()
    found = await asyncio.gather(*(pbx.process().current() for _ in range(5)))
    assert len(set(found)) == 1
    assert pbx.minted == 1


async def test_an_asker_who_is_cancelled_loses_no_token():
    pbx = Pbx()
    pbx.gate.clear()
    tokens = pbx.process()
    asking = asyncio.create_task(tokens.current())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    pbx.gate.set()
    await tokens.current()
    assert pbx.minted == 1


async def test_a_failure_reaches_every_asker_and_the_next_one_tries_again():
    pbx = Pbx()
    pbx.fault = BadKey("3cx", "no")
    tokens = pbx.process()
    failed = await asyncio.gather(*(tokens.current() for _ in range(3)), return_exceptions=True)
    assert all(isinstance(error, BadKey) for error in failed)
    assert pbx.minted == 1
    pbx.fault = None
    assert (await tokens.current()).text
    assert pbx.minted == 2


async def test_a_token_shows_nowhere():
    assert "opaque" not in repr(Token.received("opaque", 0.0))
