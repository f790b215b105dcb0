"""A telephone number through the embedded recogniser and the loop: each digit once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from calls.providers.stt.sphinx.pool import shared_pool
from calls.simulator.clips import find
from calls.voice import Event
from calls.voice.testing import Script, run_script
from tests.providers.test_stt_embedded import FRAME, hear, recogniser_for
from tests.voice.test_scripted_calls import at, names, near, options


@pytest.fixture(autouse=True)
def _stop_workers() -> Iterator[None]:
    yield
    shared_pool().stop()


async def test_spoken_digits_are_one_number_in_one_turn() -> None:
    """What the recogniser really sends, guesses rewritten into figures, given to the loop."""
    recogniser = recogniser_for()
    await recogniser.open()
    sound = bytes(FRAME * 15) + find("digits").pcm() + bytes(FRAME * 12)
    partials, final = await hear(recogniser, sound)
    await recogniser.aclose()
    guesses = [partial.text for partial in partials]
    assert any(guess.isdigit() for guess in guesses)
    assert final.text == "5551234"

    call = Script(greeting=None, language="en")
    call.caller_says(final.text, at=0.5, until=3.2, partials=guesses)
    call.agent_replies("Thank you.")
    call.caller_hangs_up(at=12.0)
    timeline = run_script(call, options())
    assert [turn.text for turn in timeline.turns] == ["5551234", "Thank you."]
    # The pause of a dictation: more digits may come. It is not the transcript's timeout.
    assert at(timeline, "thinking") == near(3.2 + 1.5)
    assert Event.TRANSCRIPT_TIMEOUT not in names(timeline)
