"""What happens in a scripted call. Times are seconds since the call was answered.

How the script's replies meet the caller's turns:

- One `agent_replies` per caller's turn, in order. Without a reply left the agent says nothing.
- `agent_calls_tool` (and `agent_acts`) belong to the next `agent_replies`. Where that tool in
  turn directly follows a reply, with nothing of the caller's between them in the script, the two
  replies and the tool are one turn: text, tool, text. That is so only if the turns of the caller
  scripted before have their replies already, or the whole script has more replies than turns:
  a script may also list the caller's lines first and then a reply to each.
- A reply that was dropped unheard is given again to the next turn, unless the script holds a
  further reply for that turn. Its tools that ran do not run again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from calls.voice.ports import Action

NEVER = float("inf")
_AS_GOOD_AS_NEVER = 60.0


@dataclass(frozen=True, slots=True)
class Says:
    text: str
    at: float
    until: float
    transcript_delay: float  # NEVER: not transcribed
    partials: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Speaks:
    """One stretch of the agent's text."""

    text: str
    first_token: float
    last_token: float
    first_audio: float
    audio_seconds: float


@dataclass(frozen=True, slots=True)
class CallsTool:
    name: str
    seconds: float
    result: object
    arguments: Mapping[str, object]
    error: str | None
    filler: str


@dataclass(frozen=True, slots=True)
class Acts:
    action: Action


@dataclass(frozen=True, slots=True)
class _Caller:
    """Something of the caller's between the agent's steps."""

    wants_reply: bool


Step = Speaks | CallsTool | Acts


@dataclass
class Faults:
    """What goes wrong: voices and recognisers by their number in line."""

    mute_voices: set[int] = field(default_factory=set)
    failing_voices: dict[int, float] = field(default_factory=dict)  # after seconds of sound
    mute_brains: int = 0  # so many requests get no answer
    failing_brains: int = 0
    brain_breaks_after: int | None = None  # tokens, of every reply
    failing_recognisers: dict[int, float] = field(default_factory=dict)  # at seconds
    send_hangs_at: float = NEVER
    send_fails_at: float = NEVER
    stream_ends_at: float = NEVER  # without a word
    marks_work: bool = True
    line_delay: float = 0.0
    lost: list[tuple[float, float]] = field(default_factory=list)
    stalled: list[tuple[float, float]] = field(default_factory=list)


class Script:
    """A call to be run by `run_script`. Method order matters for the agent's steps only."""

    def __init__(
        self,
        greeting: str | None = None,
        *,
        greeting_seconds: float = 1.5,
        language: str = "es",
        voices: int = 2,
        recognisers: int = 3,
        word_timings: bool = True,
        transcribes_at_finish: bool = False,
    ) -> None:
        self.greeting = greeting
        self.greeting_seconds = greeting_seconds
        self.language = language
        self.voices = voices
        self.recognisers = recognisers
        self.word_timings = word_timings
        self.transcribes_at_finish = transcribes_at_finish
        self.faults = Faults()
        self.says: list[Says] = []
        self.noises: list[tuple[float, float]] = []
        self.presses: list[tuple[float, str]] = []
        self.hangs_up_at = NEVER
        self.ended_from_outside: list[tuple[float, str]] = []
        self.machine_told: list[tuple[float, dict[str, bool]]] = []
        self.judgements: dict[str, float] = {}
        self._steps: list[Step | _Caller] = []

    # --- the caller -------------------------------------------------------------------

    def caller_says(
        self,
        text: str,
        at: float,
        until: float,
        transcript_delay: float | None = 0.2,
        partials: Sequence[str] | None = None,
    ) -> None:
        """Speech with words: partials evenly over it, the final `transcript_delay` after it.

        Partials come word by word, unless they are given: a recogniser may change its mind
        (`["five five", "555"]`), take words back, or send none (`[]`).
        `transcript_delay=None` (or a minute and more): neither a final nor a partial ever comes.
        """
        delay = NEVER if transcript_delay is None else transcript_delay
        if delay >= _AS_GOOD_AS_NEVER:
            delay = NEVER
        if partials is None:
            partials = [" ".join(said) for said in accumulate([word] for word in text.split())]
        self.says.append(Says(text, at, until, delay, tuple(partials)))
        self._steps.append(_Caller(wants_reply=True))

    def caller_noise(self, at: float, until: float) -> None:
        """Sound that the detector takes for speech; the recogniser never answers it."""
        self.noises.append((at, until))
        self._steps.append(_Caller(wants_reply=False))

    def caller_presses(self, digits: str, at: float) -> None:
        """Keys, a tenth of a second apart."""
        for number, digit in enumerate(digits):
            self.presses.append((at + 0.1 * number, digit))
        self._steps.append(_Caller(wants_reply=True))

    def caller_hangs_up(self, at: float) -> None:
        self.hangs_up_at = at

    def machine_answers(self, at: float, *, may_speak: bool = False, greeted: bool = False) -> None:
        """The carrier says that a machine picked up, and whether it has greeted and beeped."""
        self.machine_told.append((at, {"may_speak": may_speak, "greeted": greeted}))

    # --- the agent --------------------------------------------------------------------

    def agent_replies(
        self,
        text: str,
        first_token: float = 0.1,
        last_token: float | None = None,
        first_audio: float | None = 0.2,
        audio_seconds: float = 2.0,
    ) -> None:
        """The reply to one turn: tokens evenly between first and last, counted from the request;
        sound `first_audio` after the voice got the first sentence, `audio_seconds` in all.

        `first_audio=None`: the voice in use never answers (the one after it would, in 0.2 s).
        """
        last = first_token + 0.2 if last_token is None else max(last_token, first_token)
        sound = NEVER if first_audio is None else first_audio
        self._steps.append(Speaks(text, first_token, last, sound, audio_seconds))

    def agent_calls_tool(
        self,
        name: str,
        seconds: float = 1.0,
        result: object = None,
        *,
        arguments: Mapping[str, object] | None = None,
        error: str | None = None,
        filler: str = "",
    ) -> None:
        """A tool call before the next `agent_replies`; see the module's text."""
        self._steps.append(CallsTool(name, seconds, result, arguments or {}, error, filler))

    def agent_acts(self, action: Action) -> None:
        """An action (`HangUp`, `Transfer`, ...) before the next `agent_replies`."""
        self._steps.append(Acts(action))

    def judge(self, text: str, probability: float) -> None:
        """How likely a turn is over at just this transcript; 1 where nothing was said."""
        self.judgements[text] = probability

    def end_call(self, reason: str, at: float) -> None:
        """Somebody outside asks for the end."""
        self.ended_from_outside.append((at, reason))

    def replies(self) -> list[list[Step]]:
        """The agent's steps, turn by turn."""
        turns: list[list[Step]] = []
        waiting: list[Step] = []
        wanted, follows_reply = 0, False
        spare = self._more_replies_than_turns()
        for step in self._steps:
            if isinstance(step, _Caller):
                wanted += step.wants_reply
                follows_reply = follows_reply and bool(waiting)
            elif not isinstance(step, Speaks):
                waiting.append(step)
            else:
                if follows_reply and waiting and (spare or len(turns) >= wanted):
                    turns[-1] += [*waiting, step]
                else:
                    turns.append([*waiting, step])
                waiting, follows_reply = [], True
        if waiting:
            turns.append(waiting) if not follows_reply else turns[-1].extend(waiting)
        return turns

    def _more_replies_than_turns(self) -> bool:
        replies = sum(isinstance(step, Speaks) for step in self._steps)
        turns = sum(isinstance(step, _Caller) and step.wants_reply for step in self._steps)
        return replies > turns
