"""The agent's side of the call as one table: (state, event) -> (state, actions).

    LISTENING --endpoint--> THINKING --sound ready--> SPEAKING --reply over--> LISTENING
                               ^                       |    ^
                               |<------- dry ----------|    |--- false alarm --- PAUSED
                                                       |---- barge-in ------------>|
    any --farewell--> PARTING --sound ready--> LEAVING                 words --> LISTENING
                                                  |--reply over--> ENDED
    any --machine--> HOLDING --beep--> PARTING

A pair that is not in the table does nothing: the event has no meaning in that state. The caller
and the page see LISTENING, PAUSED and HOLDING as "listening", PARTING as "thinking", LEAVING as
"speaking".
"""

from __future__ import annotations

from enum import Enum, auto


class State(Enum):
    """Who has the floor, from the agent's point of view."""

    LISTENING = "listening"
    THINKING = "thinking"  # a reply is being made, or goes on after a tool; no sound of it plays
    SPEAKING = "speaking"
    PAUSED = "paused"  # cut by what may be an interruption; no words yet
    HOLDING = "holding"  # a machine answered; its beep is waited for
    PARTING = "parting"  # the loop itself will hang up, its last words are being made
    LEAVING = "leaving"  # they are heard
    ENDED = "ended"

    @property
    def visible(self) -> str:
        """As the outside knows it: listening, thinking or speaking."""
        return _VISIBLE.get(self, self.value)


class Cue(Enum):
    """What moves the agent from one state to another."""

    ENDPOINT = auto()  # the caller's turn is over
    ANNOUNCE = auto()  # the loop has something to say of its own accord
    SOUND_READY = auto()  # the reply has sound, and the floor is free
    DRY = auto()  # all sound so far was heard, more is to come
    REPLY_OVER = auto()  # nothing more is to come, and all was heard
    BARGE_IN = auto()  # enough speech to stop the agent
    CALLER_WORDS = auto()  # the caller said words that the agent must yield to
    FALSE_ALARM = auto()  # the speech held no words, or only a backchannel
    FAREWELL = auto()  # say goodbye and hang up
    MACHINE = auto()  # no person is at the other end
    BEEP = auto()  # the machine records: leave the message and hang up
    END = auto()  # the call is over, now


class Do(Enum):
    """What the floor does on the way, in the order given."""

    COMMIT = auto()  # the caller's words become history; a reply to them is wanted
    START_REPLY = auto()  # keep the preemptive one or ask for one
    START_ANNOUNCEMENT = auto()
    STORE_CALLER = auto()  # the caller's turn is final: the agent is heard now
    PLAY = auto()
    WAIT_FOR_MORE = auto()
    PAUSE = auto()  # cut, and be ready to go on
    CUT = auto()
    RESUME = auto()
    YIELD = auto()  # the reply ends here, with what was heard of it
    FINISH_REPLY = auto()  # the reply was heard in full; its actions run
    LISTEN = auto()  # what the caller said meanwhile counts now; patience begins
    HOLD = auto()  # nobody is waited for any more
    START_FAREWELL = auto()
    HANG_UP = auto()
    STOP = auto()  # silence, and keep what was heard


_VISIBLE = {
    State.PAUSED: "listening",
    State.HOLDING: "listening",
    State.PARTING: "thinking",
    State.LEAVING: "speaking",
    State.ENDED: "listening",
}

Transition = tuple[State, tuple[Do, ...]]

TABLE: dict[tuple[State, Cue], Transition] = {
    (State.LISTENING, Cue.ENDPOINT): (State.THINKING, (Do.COMMIT, Do.START_REPLY)),
    (State.LISTENING, Cue.ANNOUNCE): (State.THINKING, (Do.START_ANNOUNCEMENT,)),
    (State.LISTENING, Cue.FAREWELL): (State.PARTING, (Do.START_FAREWELL,)),
    (State.LISTENING, Cue.MACHINE): (State.HOLDING, (Do.HOLD,)),
    (State.LISTENING, Cue.END): (State.ENDED, (Do.STOP,)),
    #
    (State.THINKING, Cue.SOUND_READY): (State.SPEAKING, (Do.PLAY, Do.STORE_CALLER)),
    (State.THINKING, Cue.REPLY_OVER): (State.LISTENING, (Do.FINISH_REPLY, Do.LISTEN)),
    (State.THINKING, Cue.CALLER_WORDS): (State.LISTENING, (Do.YIELD, Do.LISTEN)),
    (State.THINKING, Cue.FAREWELL): (State.PARTING, (Do.YIELD, Do.START_FAREWELL)),
    (State.THINKING, Cue.MACHINE): (State.HOLDING, (Do.YIELD, Do.HOLD)),
    (State.THINKING, Cue.END): (State.ENDED, (Do.STOP,)),
    #
    (State.SPEAKING, Cue.DRY): (State.THINKING, (Do.WAIT_FOR_MORE,)),
    (State.SPEAKING, Cue.REPLY_OVER): (State.LISTENING, (Do.FINISH_REPLY, Do.LISTEN)),
    (State.SPEAKING, Cue.BARGE_IN): (State.PAUSED, (Do.PAUSE,)),
    (State.SPEAKING, Cue.FAREWELL): (State.PARTING, (Do.CUT, Do.YIELD, Do.START_FAREWELL)),
    (State.SPEAKING, Cue.MACHINE): (State.HOLDING, (Do.CUT, Do.YIELD, Do.HOLD)),
    (State.SPEAKING, Cue.END): (State.ENDED, (Do.STOP,)),
    #
    (State.PAUSED, Cue.CALLER_WORDS): (State.LISTENING, (Do.YIELD, Do.LISTEN)),
    (State.PAUSED, Cue.FALSE_ALARM): (State.SPEAKING, (Do.RESUME,)),
    (State.PAUSED, Cue.FAREWELL): (State.PARTING, (Do.YIELD, Do.START_FAREWELL)),
    (State.PAUSED, Cue.MACHINE): (State.HOLDING, (Do.YIELD, Do.HOLD)),
    (State.PAUSED, Cue.END): (State.ENDED, (Do.STOP,)),
    #
    (State.HOLDING, Cue.BEEP): (State.PARTING, (Do.START_FAREWELL,)),
    (State.HOLDING, Cue.END): (State.ENDED, (Do.STOP,)),
    #
    (State.PARTING, Cue.SOUND_READY): (State.LEAVING, (Do.PLAY, Do.STORE_CALLER)),
    (State.PARTING, Cue.REPLY_OVER): (State.ENDED, (Do.FINISH_REPLY, Do.HANG_UP)),
    (State.PARTING, Cue.END): (State.ENDED, (Do.STOP,)),
    #
    (State.LEAVING, Cue.REPLY_OVER): (State.ENDED, (Do.FINISH_REPLY, Do.HANG_UP)),
    (State.LEAVING, Cue.END): (State.ENDED, (Do.STOP,)),
}
