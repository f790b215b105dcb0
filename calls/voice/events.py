"""What the loop tells the store: names of events and the keys of their data.

Times (`at`) are milliseconds since the call was answered. Names are stable: they are stored.
"""

from __future__ import annotations

from enum import StrEnum


class Event(StrEnum):
    """One thing that happened in a call."""

    CALL_STARTED = "call_started"  # language, recogniser, voice
    CALL_ENDED = "call_ended"  # reason, duration
    MACHINE_ANSWERED = "machine_answered"  # may_speak: it has beeped

    AGENT_STATE = "agent_state"  # state: listening | thinking | speaking
    CALLER_STATE = "caller_state"  # state: silent | speaking | away (at: the acoustic moment)

    TRANSCRIPT_PARTIAL = "transcript_partial"  # text
    TRANSCRIPT_FINAL = "transcript_final"  # text, confidence, language
    TRANSCRIPT_TIMEOUT = "transcript_timeout"  # recogniser, waited
    DTMF = "dtmf"  # digit

    TURN_COMMITTED = "turn_committed"  # text: the caller is done, the reply is wanted
    BACKCHANNEL = "backchannel"  # text
    TURN_LIMIT = "turn_limit"  # limit: the caller did not stop
    AWAY_PROMPT = "away_prompt"  # number, text
    NOT_UNDERSTOOD = "not_understood"  # asked: how often in vain, person: who is to help

    REPLY_STARTED = "reply_started"  # text, preemptive
    REPLY_DROPPED = "reply_dropped"  # why: another transcript | the caller went on | ...
    AGENT_SAYS = "agent_says"  # text: a sentence that is about to be voiced
    FILLER = "filler"  # text
    APOLOGY = "apology"  # text: the recorded one
    TOOL_STARTED = "tool_started"  # call_id, tool, arguments
    TOOL_FINISHED = "tool_finished"  # call_id, tool, result, error
    ACTION = "action"  # action: the name of one of `ports.Action`, and its fields

    SPEECH_PAUSED = "speech_paused"  # heard, bargein_stop: the caller spoke into the agent's turn
    SPEECH_RESUMED = "speech_resumed"  # heard: it was a false alarm
    INTERRUPTED = "interrupted"  # heard, text
    TURN_FINISHED = "turn_finished"  # role, text, heard_text, interrupted, metrics

    PROVIDER_FAILED = "provider_failed"  # kind: recogniser | brain | voice, provider, error
    PROVIDER_REPLACED = "provider_replaced"  # kind, provider: who does it now
    WATCHDOG = "watchdog"  # hung: what, waited
    LOOP_LAG = "loop_lag"  # lag: how late the process was
    INTERNAL_ERROR = "internal_error"  # error
