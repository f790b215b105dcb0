"""The caller's side of the floor: what was said, whether it interrupts, when it is over.

    speech started/stopped, words, keys  ->  BARGE_IN, CALLER_WORDS, FALSE_ALARM, ENDPOINT

Words that do not interrupt (too short, backchannels, barge-in switched off) are not lost: what is
not a backchannel is answered as soon as the agent is done; a backchannel is kept in the
transcript. A backchannel in the last moment of a question, or that outlasts the
agent's turn, is its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from calls.voice.bargein import ANSWER_WINDOW, BargeIn, plain
from calls.voice.caller import CallerTurn
from calls.voice.clock import Timer
from calls.voice.endpointing import Endpointing
from calls.voice.events import Event
from calls.voice.options import TurnOptions
from calls.voice.patience import Patience
from calls.voice.ports import Clock, ConversationItem, Final
from calls.voice.reply import Reply
from calls.voice.sides import Ears
from calls.voice.states import Cue, State
from calls.voice.utterances import Utterance

MUMBLE = 1000.0  # ms of speech that deserve "could you say it again?" if no word came of it
COUGH = 200.0  # ms of sound that do not, even if the recogniser never answers
NOISE = 4000.0  # ms of speech without one partial word are none
NOISE_AT_LEAST = 1200.0  # so much if a reply waits for it, and the caller in silence
TAIL = 300.0  # ms: who begins that shortly before the agent's end answers it
ASKS = 2  # so often in a row, then the agent says that it does not understand


class AgentSide(Protocol):
    """What the caller's side asks of the floor."""

    @property
    def state(self) -> State: ...

    @property
    def reply(self) -> Reply | None: ...

    @property
    def last_question(self) -> str: ...

    def cue(self, cue: Cue) -> bool: ...

    def record(self, event: Event, data: Mapping[str, object], at: float | None = None) -> None: ...

    def show_caller(self, state: str, at: float) -> None: ...

    def ask_brain(self, answers: str, items: Sequence[ConversationItem]) -> Reply: ...

    def ask_to_repeat(self) -> None: ...

    def go_on(self) -> None: ...

    def not_understood(self, asked: int) -> None: ...

    def recogniser_is_gone(self) -> None: ...

    def store_caller(self, turn: CallerTurn) -> None: ...


class CallerSide:
    """One per call. Implements `Listener`."""

    def __init__(
        self,
        floor: AgentSide,
        options: TurnOptions,
        clock: Clock,
        patience: Patience,
        endpointing: Endpointing,
        bargein: BargeIn,
    ) -> None:
        self.preemptive: Reply | None = None
        self.held = False  # the caller spoke into the agent's thinking; no verdict yet
        self.noise = False  # the sound that goes on is no speech
        self.speech_began = clock.now()
        self.on_verdict: Callable[[], None] = lambda: None  # on speech: words came, or none will
        self._floor = floor
        self._options = options
        self._clock = clock
        self._patience = patience
        self._endpointing = endpointing
        self._bargein = bargein
        self._turn = self._new_turn()
        self._murmurs: list[CallerTurn] = []  # backchannels of the agent's present turn
        self._overlaps = False  # the utterance began while the agent was heard
        self._answered_until: float | None = None  # end of the turn that is being answered
        self._pause: float | None = None  # inside a turn, if more words come
        self._asked = 0
        self._endpoint = Timer(clock, self._endpoint_reached)
        self._verdict = Timer(clock, self._sound_is_noise)
        self._false_alarm = Timer(clock, self._nothing_was_said)
        self._false_alarm_after = options.false_interruption_timeout

    def _new_turn(self) -> CallerTurn:
        return CallerTurn(terminator=self._options.keys_terminator)

    def attach(self, hearing: Ears) -> None:
        self._hearing = hearing

    def stop(self) -> None:
        for timer in (self._endpoint, self._verdict, self._false_alarm):
            timer.cancel()

    # --- speech -----------------------------------------------------------------------

    def speech_started(self, at: float) -> None:
        state = self._floor.state
        self.speech_began = at
        self._overlaps = state in (State.SPEAKING, State.PAUSED)
        self.held = state is State.THINKING
        self.noise = False
        self._endpoint.cancel()
        self._false_alarm.cancel()
        self._verdict.set(at + self._patience_with_noise(at))
        self._note_pause(at)
        self._patience.caller_spoke(at, anew=self._turn.is_empty)
        self._turn.begin(at)
        self._floor.show_caller("speaking", at)

    def speech_stopped(self, at: float) -> None:
        self.noise = False
        if not self.held:
            self._verdict.cancel()
        self._turn.ended = max(self._turn.ended, at)
        self._floor.show_caller("silent", at)
        if self._floor.state is State.PAUSED:
            heard_out = not self._hearing.awaiting
            self._false_alarm.set(at if heard_out else at + self._false_alarm_after)
        elif self.held:
            if not self._hearing.expecting:
                self._nothing_was_said()
        elif self._floor.state is State.LISTENING:
            self._patience.caller_stopped(at)
            self._patience.floor_is_open()
        self.reconsider()

    def voiced(self, duration: float) -> None:
        if self._floor.state is not State.SPEAKING or self.noise:
            return
        words = self._turn.partial
        if self._may_interrupt(duration, words):
            self._floor.cue(Cue.BARGE_IN)
            if words:
                self._floor.cue(Cue.CALLER_WORDS)

    def _sound_is_noise(self) -> None:
        """So long without a word: the agent goes on, and the caller's turn waits no more."""
        if self._turn.partial or self._hearing.streams is False:
            return
        self.noise = self._hearing.speaking
        if self._floor.state is not State.LISTENING:
            self._nothing_was_said()
        self.reconsider()

    def _patience_with_noise(self, at: float) -> float:
        """Ms that sound without words may hold the agent up."""
        if not self.held:
            return NOISE
        return min(NOISE, max(NOISE_AT_LEAST, self._patience.silence_limit - at))

    def _note_pause(self, at: float) -> None:
        if self._floor.state is State.THINKING:
            before = self._answered_until
        else:
            before = None if self._overlaps or self._turn.is_empty else self._turn.ended
        self._pause = None if before is None else at - before

    # --- words ------------------------------------------------------------------------

    def partial(self, text: str) -> None:
        self.noise = False
        self._turn.partial = text
        self.record(Event.TRANSCRIPT_PARTIAL, {"text": text})
        self._words_came(text)
        self._drop_outdated()

    def final(self, final: Final, spoken: Utterance, rest: str) -> None:
        text = final.text.strip()
        self._turn.partial = rest
        if text:
            data = {"text": text, "confidence": final.confidence, "language": final.language}
            self.record(Event.TRANSCRIPT_FINAL, data)
            self._understood()
            if self._is_murmur(text, spoken):
                self._take_murmur(text, spoken)
            else:
                self._turn.add_final(text, self._clock.now(), spoken.began)
                self._words_came(text)
                self.reconsider()
        else:
            self._drop_outdated()
            self._no_words(spoken)
        self.on_verdict()

    def pressed(self, digit: str) -> None:
        """A key counts as words at once, and as a turn after a pause or at the terminator."""
        now = self._clock.now()
        self.record(Event.DTMF, {"digit": digit})
        self._understood()
        if not self._hearing.speaking:
            self.speech_began = now
            self._floor.show_caller("silent", now)
        self._turn.begin(now)
        self._turn.add_key(digit, now)
        if self._options.keys_interrupt:
            self._floor.cue(Cue.BARGE_IN)
        self._floor.cue(Cue.CALLER_WORDS)
        self.reconsider()

    def _understood(self) -> None:
        self._asked = 0
        self._patience.caller_understood()
        if self._pause is not None:
            self._endpointing.pause(self._pause)
            self._pause = None

    def _words_came(self, text: str) -> None:
        state = self._floor.state
        if state is State.SPEAKING:
            if not self._may_interrupt(self._hearing.voiced, text):
                return
            self._floor.cue(Cue.BARGE_IN)
        elif state is State.PAUSED and self._bargein.is_backchannel(text):
            return
        reply = self._floor.reply
        if reply is None or not reply.talks_over:
            self._floor.cue(Cue.CALLER_WORDS)

    def _may_interrupt(self, duration: float, text: str) -> bool:
        reply = self._floor.reply
        if reply is None or not self._overlaps or self._clock.now() < reply.protected_until:
            return False
        return self._bargein.interrupts(duration, text)

    # --- the absence of words ---------------------------------------------------------

    def no_more_words(self) -> None:
        """What was said last held none, as far as anybody can tell."""
        if self.held and not self._hearing.speaking:
            self._nothing_was_said()
        self.reconsider()
        self.on_verdict()

    def no_transcript(self, spoken: Utterance) -> None:
        """Speech, and nothing from the recogniser in time."""
        self._no_words(spoken, worth_asking=COUGH)
        self.on_verdict()

    def deaf(self) -> None:
        self._floor.recogniser_is_gone()
        self.on_verdict()

    def _no_words(self, spoken: Utterance, worth_asking: float = MUMBLE) -> None:
        speaking = self._hearing.speaking
        if speaking and not self.noise:
            return
        if self._floor.state is not State.LISTENING:
            self._nothing_was_said()
        elif self._turn.is_empty and not speaking and self._alone(spoken) >= worth_asking:
            self._ask_to_repeat()
        self.reconsider()

    def _alone(self, spoken: Utterance) -> float:
        """Ms of an utterance that the agent did not talk over."""
        return self._end_of(spoken) - max(spoken.began, self._patience.agent_was_heard)

    def _end_of(self, spoken: Utterance) -> float:
        return self._hearing.voiced_until if spoken.stopped is None else spoken.stopped

    def _nothing_was_said(self) -> None:
        """The speech was noise or a backchannel: go on as if it had not been."""
        self._false_alarm.cancel()
        self.held = False
        self._floor.cue(Cue.FALSE_ALARM)
        self._floor.go_on()

    def _ask_to_repeat(self) -> None:
        self.held = False
        if self._asked == ASKS:
            self._floor.not_understood(self._asked)
            return
        self._asked += 1
        self._floor.ask_to_repeat()

    # --- backchannels -----------------------------------------------------------------

    def _is_murmur(self, text: str, spoken: Utterance) -> bool:
        """A backchannel said into the agent's turn that does not answer it."""
        if not self._overlaps or not self._bargein.is_backchannel(text):
            return False
        return self._floor.state is not State.LISTENING or not self._is_answer(
            spoken.began, self._end_of(spoken)
        )

    def _is_answer(self, began: float, ended: float) -> bool:
        """Whether words at that time answer what the agent has just said to its end."""
        asked = self._floor.last_question.rstrip().endswith("?")
        over = self._patience.agent_was_heard
        return ended > over or began >= over - (ANSWER_WINDOW if asked else TAIL)

    def _take_murmur(self, text: str, spoken: Utterance) -> None:
        self.record(Event.BACKCHANNEL, {"text": text})
        murmur = CallerTurn(spoken.began, self._end_of(spoken))
        murmur.add_final(text, self._clock.now(), spoken.began)
        self._murmurs.append(murmur)
        if self._floor.state is State.LISTENING:
            self.store_murmurs()
        elif not self._hearing.speaking:
            self._nothing_was_said()

    def store_murmurs(self) -> None:
        """The agent's turn is over: they go into the transcript, or the last one is an answer."""
        murmurs, self._murmurs = self._murmurs, []
        waits = self._floor.state is State.LISTENING and self._turn.is_empty
        if murmurs and waits and self._is_answer(murmurs[-1].started or 0.0, murmurs[-1].ended):
            self._turn = murmurs.pop()
        for murmur in murmurs:
            self._floor.store_caller(murmur)

    # --- the end of the turn ----------------------------------------------------------

    def reconsider(self) -> None:
        """Is the caller done? Asked whenever something that matters has changed."""
        if self._floor.state is not State.LISTENING or self._turn.is_empty:
            return
        if self._is_incomplete:
            if self._hearing.silent_now:
                self._maybe_begin_early()
            return
        due = self._turn.ended + self._delay()
        if due <= self._clock.now() + 0.01:
            self._endpoint_reached()
        else:
            self._endpoint.set(due)
            self._maybe_begin_early()

    def _delay(self) -> float:
        if self._turn.ends_with_key:
            return 0.0 if self._keys_are_complete else self._options.keys_timeout
        return self._endpointing.delay(self._turn.text, self._floor.last_question)

    @property
    def _keys_are_complete(self) -> bool:
        digits, terminator = self._turn.digits, self._options.keys_terminator
        most = self._options.keys_max_digits
        ended = bool(terminator) and digits.endswith(terminator)
        return ended or 0 < most <= len(digits)

    @property
    def _is_incomplete(self) -> bool:
        """More words may belong to the turn; keys alone wait for no transcript of noise."""
        if self._hearing.speaking and not self.noise:
            return True
        return self._hearing.expecting and bool(self._turn.partial or not self._turn.digits)

    def _endpoint_reached(self) -> None:
        if not self._is_incomplete:
            self._floor.cue(Cue.ENDPOINT)

    def _maybe_begin_early(self) -> None:
        text = self._turn.text
        if not self._options.preemptive or self._turn.digits:
            return
        if not self._endpointing.is_done(text, self._floor.last_question):
            return
        if self.preemptive is not None:
            if self._is_answered_by(self.preemptive):
                return
            self.drop_preemptive("other words")
        self.preemptive = self._floor.ask_brain(self._turn.shown, self._turn.items())

    def _is_answered_by(self, reply: Reply) -> bool:
        return plain(reply.answers) == plain(self._turn.shown)

    def _drop_outdated(self) -> None:
        if self.preemptive is not None and not self._is_answered_by(self.preemptive):
            self.drop_preemptive("other words")

    def drop_preemptive(self, why: str) -> None:
        """Its text was only a guess: nobody heard or noticed it."""
        if self.preemptive is not None:
            self.record(Event.REPLY_DROPPED, {"why": why})
            self.preemptive.stop()
            self.preemptive = None

    # --- the turn changes hands -------------------------------------------------------

    def take_turn(self) -> tuple[CallerTurn, Reply | None]:
        """What the caller said, to be answered; and the reply that was begun to just that."""
        turn, self._turn = self._turn, self._new_turn()
        turn.settle_partial(self._clock.now(), self.speech_began)
        if self._hearing.speaking:
            self._turn.begin(self._clock.now())
        self.held = False
        self.stop()
        self._patience.turn_is_over()
        self._answered_until = turn.ended
        ready, self.preemptive = self.preemptive, None
        if ready is not None and plain(ready.answers) != plain(turn.shown):
            self.preemptive = ready
            self.drop_preemptive("other words")
            ready = None
        return turn, ready

    def go_on_with(self, turn: CallerTurn, told: bool) -> None:
        """The answer was not heard: what came since belongs to the same turn."""
        turn.go_on(self._turn, told)
        self._turn = turn

    def leftover(self) -> CallerTurn:
        """At the end of the call: words that nobody answered."""
        turn, self._turn = self._turn, self._new_turn()
        return turn

    def cut_in(self) -> bool:
        """The caller does not stop: take what was said so far. False if that is nothing."""
        self._hearing.split_utterance()
        self._turn.ended = self._clock.now()
        return not self._turn.is_empty

    def record(self, event: Event, data: Mapping[str, object], at: float | None = None) -> None:
        self._floor.record(event, data, at)
