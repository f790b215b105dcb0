"""Random calls: whatever happens in whatever order, the loop's invariants hold.

Each seed is one call with random speech, noise, keys, replies, tools and faults. The dangerous
direction is always the same: words lost or doubled, sound credited that was not heard, a call
that hangs.
"""

import random
from itertools import pairwise

import pytest

from calls.voice import EndReason, Event, HangUp, TurnOptions
from calls.voice.testing import Script, run_script
from tests.voice.test_scripted_calls import names

SEEDS = range(120)


def random_script(dice: random.Random) -> Script:
    call = Script(
        greeting=dice.choice([None, "Hola, soy Andrea. ¿Qué desea?"]),
        greeting_seconds=dice.choice([0.5, 1.5, 4]),
        word_timings=dice.random() < 0.7,
        voices=dice.choice([1, 2]),
    )
    end = random_caller(call, dice)
    for number in range(dice.randint(0, 5)):
        random_reply(call, dice, number)
    if dice.random() < 0.7:
        call.caller_hangs_up(round(max(8.0, end + dice.uniform(-3, 10)), 2))
    random_faults(call, dice)
    return call


def random_caller(call: Script, dice: random.Random) -> float:
    moment, count = dice.uniform(0, 2), 0
    for _ in range(dice.randint(0, 6)):
        kind, length = dice.random(), dice.uniform(0.3, 3)
        pause = dice.choice([0.1, 0.3, 0.6, 1, 2, 4, 8])
        begin, end = round(moment, 2), round(moment + length, 2)
        if kind < 0.65:
            words = [f"w{count + number}" for number in range(dice.randint(1, 6))]
            count += len(words)
            delay = min(dice.choice([0.1, 0.2, 0.5, 1.5, 2.5]), pause)
            text, partials = random_guesses(words, dice)
            call.caller_says(text, begin, end, transcript_delay=delay, partials=partials)
        elif kind < 0.85:
            call.caller_noise(begin, end)
        else:
            call.caller_presses(dice.choice(["5", "12#", "*"]), begin)
        moment += length + pause
    return moment


def random_guesses(words: list[str], dice: random.Random) -> tuple[str, list[str] | None]:
    """The final, and how the recogniser came to it: None for word by word. `g…` is never said."""
    text = " ".join(words)
    kind = dice.choice(["plain", "plain", "plain", "none", "other", "shrinks", "digits", "denied"])
    wrong = [f"g{word} " * dice.randint(1, 4) for word in words]
    match kind:
        case "plain":
            return text, None
        case "none":
            return text, []
        case "other":
            return text, [*wrong, *dice.choice([[], words[:1], [text], [text, *wrong]])]
        case "shrinks":
            return text, [" ".join(words[:count]) for count in range(len(words), 0, -1)]
        case "digits":
            count = dice.randint(3, 9)
            spoken = [" ".join(["five"] * said) for said in range(1, count)]
            return f"{'5' * count} {text}", [*spoken, "5" * count]
    return "", wrong


def random_reply(call: Script, dice: random.Random, number: int) -> None:
    for _ in range(dice.choice([0, 0, 0, 1, 2])):
        call.agent_calls_tool(f"tool{number}", seconds=dice.choice([0.1, 1, 3, 6]), result=number)
    if dice.random() < 0.1:
        call.agent_acts(HangUp())
    count = dice.randint(1, 12)
    stops = ["." if dice.random() < 0.3 or word == count - 1 else "" for word in range(count)]
    call.agent_replies(
        " ".join(f"a{number}x{word}{stop}" for word, stop in enumerate(stops)),
        first_token=dice.choice([0, 0.1, 0.5, 2]),
        last_token=dice.choice([0.1, 0.3, 1, 3]),
        first_audio=dice.choice([0, 0.1, 0.3, 1, 2.5]),
        audio_seconds=dice.choice([0.3, 1, 2, 6, 10]),
    )


def random_faults(call: Script, dice: random.Random) -> None:
    faults = call.faults
    if dice.random() < 0.1:
        faults.failing_voices = {0: dice.choice([0, 0.2, 1])}
    if dice.random() < 0.1:
        faults.failing_brains = dice.randint(1, 4)
    if dice.random() < 0.1:
        faults.mute_brains = dice.randint(1, 3)
    if dice.random() < 0.1:
        faults.failing_recognisers = {0: dice.uniform(0, 5)}
    if dice.random() < 0.1:
        faults.line_delay = dice.choice([0.05, 0.3])
    if dice.random() < 0.1:
        faults.stalled = [(2.0, 2.7)]
    faults.marks_work = dice.random() > 0.1


def random_options(dice: random.Random) -> TurnOptions:
    return TurnOptions(
        endpointing_min=dice.choice([200, 400, 800]),
        vad_min_silence=dice.choice([100, 250, 400]),
        preemptive=dice.random() < 0.7,
        bargein=dice.random() < 0.9,
        bargein_min_words=dice.choice([0, 0, 0, 2]),
        bargein_min_duration=dice.choice([200, 400]),
        endpointing_adaptive=dice.random() < 0.3,
        greeting_protected=dice.choice([0, 0, 1000]),
        caller_turn_limit=dice.choice([60_000, 4000]),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_any_call_keeps_the_invariants(seed):
    dice = random.Random(seed)
    call, options = random_script(dice), random_options(dice)
    timeline = run_script(call, options)
    assert timeline.end_reason in set(EndReason) - {EndReason.INTERNAL_ERROR}
    no_word_is_lost_or_doubled(call, timeline)
    guesses_are_no_words(call, timeline)
    a_final_ends_the_waiting(call, timeline)
    only_heard_words_are_credited(timeline)
    states_alternate_in_order(timeline)
    nobody_waits_in_silence(call, timeline)


def no_word_is_lost_or_doubled(call, timeline):
    said = " ".join(turn.text for turn in timeline.turns if turn.role == "caller").split()
    for says in call.says:
        if says.until + says.transcript_delay < timeline.ended - 0.1:
            words = [word for word in says.text.split() if word.startswith("w")]
            assert [said.count(word) for word in words] == [1] * len(words)
    assert [word for word in said if said.count(word) > 1 and word.startswith("w")] == []


def guesses_are_no_words(call, timeline):
    """Unless no final came in time, the caller was cut in on, or a denial may be a noise's."""
    denied_among_noise = call.noises and not all(says.text for says in call.says)
    if call.faults.failing_recognisers or denied_among_noise:
        return
    if Event.TURN_LIMIT in names(timeline):
        return
    said = " ".join(turn.text for turn in timeline.turns if turn.role == "caller").split()
    assert [word for word in said if word.startswith("g") or word == "five"] == []
    for says in call.says:
        digits = says.text.split(" w")[0]
        if digits.isdigit() and says.until + says.transcript_delay < timeline.ended - 0.1:
            same = [other for other in call.says if other.text.startswith(f"{digits} ")]
            assert 1 <= said.count(digits) <= len(same)


def a_final_ends_the_waiting(call, timeline):
    """All speech has its final within 2.5 s; noise has none, and the piece after a cut neither."""
    cut = Event.TURN_LIMIT in names(timeline)
    if not (call.faults.failing_recognisers or call.noises or cut):
        assert Event.TRANSCRIPT_TIMEOUT not in names(timeline)


def only_heard_words_are_credited(timeline):
    for turn in timeline.turns:
        assert turn.text.startswith(turn.heard_text)
        assert turn.text[len(turn.heard_text) :][:1] in {"", " ", ".", ","}
        assert turn.heard_text


def states_alternate_in_order(timeline):
    for states in (timeline.states, timeline.caller_states):
        moments = [seconds for seconds, _ in states]
        assert moments == sorted(moments)
    names = [name for _, name in timeline.states]
    assert all(name != following for name, following in pairwise(names))


def nobody_waits_in_silence(call, timeline):
    """4 s at most, whatever is at work."""
    speech = [(says.at, says.until) for says in call.says] + call.noises
    ends = [*timeline.states[1:], (timeline.ended, "")]
    for (begin, state), (end, _) in zip(timeline.states, ends, strict=True):
        if state == "thinking" and not any(a < end and b > begin - 0.1 for a, b in speech):
            assert end - begin <= 4.0
