"""Who speaks now: carries out the state table for one call.

Cues come from the caller's side (`listening`), from replies as they grow, from the line as it
plays, and from patience running out. `cue` looks them up in `states.TABLE` and does what stands
there. Every method returns at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from calls.voice.bargein import BargeIn
from calls.voice.caller import CallerTurn
from calls.voice.end_reasons import EndReason
from calls.voice.endpointing import Endpointing
from calls.voice.events import Event
from calls.voice.history import History
from calls.voice.line import Outgoing
from calls.voice.listening import CallerSide
from calls.voice.metrics import TurnMetrics
from calls.voice.parting import Parting, action_data, keys_sent, without_words
from calls.voice.patience import Patience
from calls.voice.ports import (
    Action,
    Conversation,
    ConversationItem,
    HangUp,
    SendDtmf,
    Store,
    ToolRan,
    Transfer,
    Turn,
)
from calls.voice.reply import Reply, Workshop
from calls.voice.sides import Ears, Mouth
from calls.voice.states import TABLE, Cue, Do, State

FAILURES = 3  # replies in a row that the brain failed, then goodbye


class Floor:
    """One per call. `begin` starts it; `on_end` is called with the reason, perhaps twice.

    `person`: the transfer target for a caller whom the agent does not understand, if any.
    """

    def __init__(
        self,
        shop: Workshop,
        store: Store,
        history: History,
        endpointing: Endpointing,
        bargein: BargeIn,
        on_end: Callable[[EndReason], None],
        person: str,
    ) -> None:
        self.outcome: Action | None = None
        self._shop = shop
        self._options = shop.options
        self._phrases = shop.phrases
        self._clock = shop.clock
        self._store = store
        self._history = history
        self._on_end = on_end
        self._person = person
        self._answered_at = shop.clock.now()
        self._state = State.LISTENING
        self._shown = self._shown_caller = ""
        self._reply: Reply | None = None
        self._answering: CallerTurn | None = None  # committed, and not stored yet
        self._told: list[ConversationItem] = []  # of it, in the history
        self._ready: Reply | None = None
        self.unsettled: list[Reply] = []  # cut short, but a tool of theirs still runs
        self._words = ""  # of the next announcement
        self._opening = ""  # of the next reply, when the agent cuts in
        self._protected = 0.0
        self._parting = Parting("", EndReason.AGENT_HUNG_UP)  # once it has begun
        self._failures = 0
        self._fillers = 0
        self._patience = Patience(shop.options, shop.clock, self)
        self.caller = CallerSide(
            self, shop.options, shop.clock, self._patience, endpointing, bargein
        )
        self._do = self._actions()

    def _actions(self) -> dict[Do, Callable[[], None]]:
        return {
            Do.COMMIT: self._commit,
            Do.START_REPLY: self._start_reply,
            Do.START_ANNOUNCEMENT: self._start_announcement,
            Do.STORE_CALLER: self._store_answered,
            Do.PLAY: self._play,
            Do.WAIT_FOR_MORE: self._wait_for_more,
            Do.PAUSE: self._pause,
            Do.CUT: self._cut,
            Do.RESUME: self._resume,
            Do.YIELD: self._yield,
            Do.FINISH_REPLY: self._finish_reply,
            Do.LISTEN: self._listen,
            Do.HOLD: self._patience.stop,
            Do.START_FAREWELL: self._start_announcement,
            Do.HANG_UP: self._hang_up,
            Do.STOP: self._stop,
        }

    def begin(self, hearing: Ears, playout: Mouth, line: Outgoing, greeting: str | None) -> None:
        """The call is answered."""
        self._hearing, self._playout, self._line = hearing, playout, line
        self.caller.attach(hearing)
        self._show_state()
        self.show_caller("silent", self._answered_at)
        self._patience.begin()
        self._playout.pump()
        if greeting:
            self._protected = self._options.greeting_protected
            self._announce(greeting)
        else:
            self._listen()

    # --- the table --------------------------------------------------------------------

    @property
    def state(self) -> State:
        return self._state

    @property
    def reply(self) -> Reply | None:
        return self._reply

    @property
    def last_question(self) -> str:
        return self._history.last_question

    def cue(self, cue: Cue) -> bool:
        """Follow the table; False if the cue means nothing in this state."""
        transition = TABLE.get((self._state, cue))
        if transition is None:
            return False
        self._state, todo = transition
        self._show_state()
        for do in todo:
            self._do[do]()
        return True

    def record(self, event: Event, data: Mapping[str, object], at: float | None = None) -> None:
        moment = self._clock.now() if at is None else at
        self._store.event(moment - self._answered_at, event, data)

    def _show_state(self) -> None:
        if self._state.visible != self._shown:
            self._shown = self._state.visible
            self.record(Event.AGENT_STATE, {"state": self._shown})

    def show_caller(self, state: str, at: float) -> None:
        """The caller is silent, speaking or away since then."""
        if state != self._shown_caller:
            self._shown_caller = state
            self.record(Event.CALLER_STATE, {"state": state}, at)

    # --- replies begin ----------------------------------------------------------------

    def _commit(self) -> None:
        self._answering, self._ready = self.caller.take_turn()
        self._told = self._answering.items()
        for item in self._told:
            self._history.add(item)
        self.record(Event.TURN_COMMITTED, {"text": self._answering.shown})

    def _start_reply(self) -> None:
        turn = self._answering or CallerTurn()
        reply = self._reply = self._ready or self.ask_brain(turn.shown, ())
        self._ready = None
        reply.metrics.speech_ended = turn.ended
        reply.metrics.transcript_came = turn.transcript_came
        reply.metrics.committed = self._clock.now()
        self._patience.agent_owes(filler=True)
        reply.commit()
        self.offer_sound()
        self._maybe_over()

    def ask_brain(self, answers: str, items: Sequence[ConversationItem]) -> Reply:
        """A reply to the history and these items of a turn that is not committed yet."""
        reply = Reply(self._shop, self, TurnMetrics())
        reply.talks_over = bool(self._opening)
        opening, self._opening = self._opening, ""
        self.record(Event.REPLY_STARTED, {"text": answers, "preemptive": bool(items)})

        def ask() -> Conversation:
            return self._history.snapshot_with(() if reply.committed.is_set() else items)

        self.unsettled = [r for r in self.unsettled if not r.settled.is_set()]
        reply.think(answers, ask, tuple(self.unsettled), opening)
        return reply

    def _announce(self, words: str) -> None:
        self._words = words
        self.cue(Cue.ANNOUNCE)

    def _start_announcement(self) -> None:
        reply = self._reply = Reply(self._shop, self, TurnMetrics())
        reply.talks_over = bool(self._opening)
        self._opening = ""
        self._patience.agent_owes(filler=False)
        reply.announce(self._words)

    # --- replies grow (ReplyOwner) ----------------------------------------------------

    def reply_grew(self, reply: Reply) -> None:
        if reply is not self._reply:
            return
        if self._is_playing:
            self._playout.pump()
        else:
            self.offer_sound()
        self._maybe_over()

    def offer_sound(self) -> None:
        """The reply has sound: play it, unless the caller is speaking or may have spoken."""
        reply = self._reply
        if reply is None or self._is_playing or not reply.track.available:
            return
        if self._caller_first and not reply.talks_over and self._state is State.THINKING:
            return
        self.cue(Cue.SOUND_READY)

    def go_on(self) -> None:
        """The caller said nothing after all: the reply may sound, or must not be late."""
        self.offer_sound()
        if self._state is State.THINKING:
            self._patience.agent_still_owes()

    def tool_ran(self, tool: ToolRan) -> None:
        self._history.add(tool)

    def sound_deadline(self, reply: Reply, limit: float) -> float:
        waiting = reply is self._reply and self._shop.voicing.has_next
        return self._patience.voice_deadline(limit, spare=waiting)

    def played_out(self) -> None:
        """All sound that the line was given has been heard."""
        if self._is_playing and not self._maybe_over():
            self.cue(Cue.DRY)

    @property
    def _caller_first(self) -> bool:
        return self.caller.held or (self._hearing.speaking and not self.caller.noise)

    @property
    def _is_playing(self) -> bool:
        return self._state in (State.SPEAKING, State.LEAVING)

    def _maybe_over(self) -> bool:
        reply = self._reply
        if reply is None or not reply.is_over or reply.track.available:
            return False
        if self._is_playing and not self._playout.quiet:
            return False
        return self.cue(Cue.REPLY_OVER)

    # --- replies are heard ------------------------------------------------------------

    def _play(self) -> None:
        reply = self._speaking_reply()
        now = self._clock.now()
        self._patience.agent_sounds()
        if reply.started is None:
            reply.started = reply.metrics.first_sent = now
            reply.protected_until = now + self._protected
            self._protected = 0.0
        self._playout.play(reply.track)

    def _wait_for_more(self) -> None:
        self._playout.release()
        self._patience.agent_fell_silent()
        self._patience.agent_owes(filler=True)

    def _cut(self) -> None:
        reply = self._speaking_reply()
        reply.heard = self._playout.stop()
        reply.paused = self._clock.now()
        self._patience.agent_fell_silent()

    def _pause(self) -> None:
        self._cut()
        reply = self._speaking_reply()
        reply.metrics.bargein_stop = self._clock.now() - self.caller.speech_began
        heard = reply.track.heard_text(reply.heard)
        data = {"heard": heard, "bargein_stop": reply.metrics.bargein_stop}
        self.record(Event.SPEECH_PAUSED, data)

    def _resume(self) -> None:
        reply = self._speaking_reply()
        reply.paused = reply.metrics.bargein_stop = None
        self.record(Event.SPEECH_RESUMED, {"heard": reply.track.heard_text(reply.heard)})
        self._patience.agent_sounds()
        self._playout.play(reply.track)
        self._maybe_over()

    def _finish_reply(self) -> None:
        reply = self._speaking_reply()
        self._reply = None
        self._playout.release()
        self._patience.agent_fell_silent()
        self._store_answered()
        self._keep(reply, reply.track.size, interrupted=False)
        self._failures = self._failures + 1 if reply.failed else 0
        if self._failures >= FAILURES:
            self.farewell(Parting(self._phrases.goodbye, EndReason.BRAIN_FAILED))
        if reply.mute:
            self._parting = self._parting.unsaid()
        for action in reply.actions:
            self._act(action)

    def _yield(self) -> None:
        reply = self._speaking_reply()
        self._reply = None
        heard = reply.heard if reply.paused is not None else reply.track.sent
        self._playout.release()
        reply.stop()
        self.unsettled.append(reply)
        if reply.started is not None:
            self._keep(reply, heard, interrupted=True)
            return
        self.record(Event.REPLY_DROPPED, {"why": "the caller went on"})
        if self._answering is not None:
            taken_back = not reply.tool_runs and self._history.take_back(self._told)
            self.caller.go_on_with(self._answering, told=not taken_back)
            self._answering = None

    def _keep(self, reply: Reply, heard: int, *, interrupted: bool) -> None:
        """The agent's turn is over: into history and store goes what was heard of it."""
        heard_text = reply.track.heard_text(heard)
        if reply.started is None or not heard_text:
            return
        text = reply.text if interrupted else heard_text  # what got no voice was not said
        self._history.agent_said(reply.pieces(heard), interrupted)
        if interrupted:
            self.record(Event.INTERRUPTED, {"heard": heard_text, "text": text})
        ended = self._clock.now() if reply.paused is None else reply.paused
        self._store_turn(
            Turn(
                "agent",
                text,
                heard_text,
                interrupted,
                reply.started - self._answered_at,
                ended - self._answered_at,
                reply.metrics.as_dict(),
            )
        )

    def _listen(self) -> None:
        if self._state is not State.LISTENING:
            return
        self._patience.floor_is_open()
        self.caller.store_murmurs()
        self.caller.reconsider()

    # --- turns are kept ---------------------------------------------------------------

    def _store_answered(self) -> None:
        turn, self._answering = self._answering, None
        if turn is not None:
            metrics = self._reply.metrics if self._reply is not None else TurnMetrics()
            self.store_caller(turn, metrics)

    def store_caller(self, turn: CallerTurn, metrics: TurnMetrics | None = None) -> None:
        self._store_turn(turn.stored(self._answered_at, metrics))

    def _store_turn(self, turn: Turn) -> None:
        self._store.turn(turn)
        self.record(Event.TURN_FINISHED, {**asdict(turn), "metrics": dict(turn.metrics)})

    # --- actions and endings ----------------------------------------------------------

    def _act(self, action: Action) -> None:
        self.note(action)
        if isinstance(action, SendDtmf):
            self._line.keys(action.digits)
            self._history.add(keys_sent(action, self._clock.now()))
            return
        self.outcome = action
        if isinstance(action, HangUp):
            self.end(EndReason.of(action.reason, EndReason.AGENT_HUNG_UP))
        else:
            transferred = isinstance(action, Transfer)
            self.end(EndReason.TRANSFERRED if transferred else EndReason.HANDED_OFF)

    def note(self, action: Action) -> None:
        self.record(Event.ACTION, action_data(action))

    def end(self, reason: EndReason) -> None:
        """The call is over, now."""
        if self.cue(Cue.END):
            self._on_end(reason)

    def farewell(self, parting: Parting, cue: Cue = Cue.FAREWELL) -> None:
        if (self._state, cue) in TABLE:
            self._parting, self._words = parting, parting.words
            self.cue(cue)

    def _hang_up(self) -> None:
        if (transfer := self._parting.transfer) is not None:
            self.note(transfer)
            self.outcome = transfer
        self._on_end(self._parting.reason)

    def _stop(self) -> None:
        """Whatever was being said ends here, with what was heard of it."""
        reply, self._reply = self._reply, None
        if reply is not None:
            heard = reply.heard if reply.paused is not None else self._playout.heard()
            self._keep(reply, heard, interrupted=True)
            reply.stop()
            self.unsettled.append(reply)
        self.caller.drop_preemptive("the call is over")

    def close(self) -> None:
        """After the end: no timer is left, and the caller's last words are stored."""
        self._patience.stop()
        self.caller.stop()
        self.caller.store_murmurs()
        turn, self._answering = self._answering, None
        last = self.caller.leftover()
        if turn is not None:
            turn.go_on(last, told=False)
            last = turn
        if not last.is_empty:
            self.store_caller(last)

    # --- patience runs out (Impatient) ------------------------------------------------

    def caller_is_away(self, prompts: int) -> None:
        if self._hearing.onset:
            self._patience.look_again(self._options.vad_min_speech)
            return
        if self._hearing.awaiting or self._hearing.speaking:
            self._patience.floor_is_open()
            return
        self.show_caller("away", self._clock.now())
        available = self._phrases.away_prompts
        if prompts > self._options.away_prompts or not available:
            self.farewell(Parting(self._phrases.goodbye, EndReason.CALLER_SILENT))
            return
        self._patience.prompted()
        text = available[(prompts - 1) % len(available)]
        self.record(Event.AWAY_PROMPT, {"number": prompts, "text": text})
        self._announce(text)

    def turn_limit_reached(self) -> None:
        if self._state is not State.LISTENING or not self._hearing.speaking:
            return
        self.record(Event.TURN_LIMIT, {"limit": self._options.caller_turn_limit})
        self.caller.drop_preemptive("cutting in")
        self._opening = self._words = self._phrases.turn_limit
        self.cue(Cue.ENDPOINT if self.caller.cut_in() else Cue.ANNOUNCE)

    def duration_reached(self) -> None:
        self.farewell(Parting(self._phrases.goodbye, EndReason.MAX_DURATION))

    def recogniser_is_gone(self) -> None:
        self.farewell(without_words(self._phrases, self._person, EndReason.RECOGNISER_FAILED))

    def not_understood(self, asked: int) -> None:
        broken = self._hearing.broken
        reason = EndReason.RECOGNISER_FAILED if broken else EndReason.CALLER_NOT_UNDERSTOOD
        self.record(Event.NOT_UNDERSTOOD, {"asked": asked, "person": self._person})
        self.farewell(without_words(self._phrases, self._person, reason))

    def ask_to_repeat(self) -> None:
        self._announce(self._phrases.ask_to_repeat)

    def fill_silence(self) -> None:
        self._fill(Reply.fill)

    def show_life(self) -> None:
        self._fill(Reply.show_life)

    def _fill(self, say: Callable[[Reply, str], bool]) -> None:
        reply = self._reply
        if reply is None or self._state is not State.THINKING or self._caller_first:
            return
        available = self._phrases.fillers
        if available and say(reply, available[self._fillers % len(available)]):
            self._fillers += 1

    def end_silence(self) -> None:
        reply = self._reply
        if reply is not None and not (self._is_playing or self._caller_first):
            reply.apologise()

    def _speaking_reply(self) -> Reply:
        if self._reply is None:
            raise RuntimeError(f"no reply in state {self._state.value}")
        return self._reply
