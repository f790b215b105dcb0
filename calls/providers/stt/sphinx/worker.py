"""The decoding process: `python -m calls.providers.stt.sphinx.worker`, spoken to by pipes.

It ends when its standard input does, that is, with the process which started it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import BinaryIO

from pocketsphinx import Decoder

from calls.providers.stt.sphinx.wire import Kind, Message, read, write

SAMPLE_RATE = 16000  # what the English model was trained on
_PARTIAL_EVERY = SAMPLE_RATE * 2 // 4  # bytes: a quarter of a second
_FRAME_MS = 10
_NICENESS = 5  # media comes first
_NO_WORDS = ("<s>", "</s>", "<sil>", "[", "+")


class Session:
    """One call's decoder: about 7 MB with an agent's dictionary."""

    def __init__(self, dictionary: str, model: str, cepstral_mean: str) -> None:
        # The second pass over the whole utterance (fwdflat) costs 90 ms at its end and changed
        # no word on telephone clips.
        self._decoder = Decoder(
            samprate=float(SAMPLE_RATE),
            dict=dictionary,
            lm=model,
            cmninit=cepstral_mean,
            fwdflat=False,
            loglevel="FATAL",
        )
        self._hearing = False
        self._since_partial = 0
        self._partial = ""

    def start(self) -> None:
        """An utterance begins; one still going on is dropped."""
        self.drop()
        self._decoder.start_utt()
        self._hearing = True
        self._since_partial = 0
        self._partial = ""

    def audio(self, pcm: bytes) -> str | None:
        """Decode some more; the words so far if they are new and a look at them is due."""
        if not self._hearing or not pcm:
            return None
        self._decoder.process_raw(pcm)
        self._since_partial += len(pcm)
        if self._since_partial < _PARTIAL_EVERY:
            return None
        self._since_partial = 0
        text = self._text()
        if text == self._partial:
            return None
        self._partial = text
        return text

    def finish(self) -> list[tuple[str, int, int, float]]:
        """The words of the utterance: text, start and end in ms, posterior probability."""
        if not self._hearing:
            return []
        self._hearing = False
        self._decoder.end_utt()
        return [
            (
                _spelling(segment.word),
                segment.start_frame * _FRAME_MS,
                (segment.end_frame + 1) * _FRAME_MS,
                segment.prob,
            )
            for segment in self._decoder.seg() or ()
            if not segment.word.startswith(_NO_WORDS)
        ]

    def drop(self) -> None:
        """Forget the utterance going on, if any."""
        if self._hearing:
            self._hearing = False
            self._decoder.end_utt()

    def _text(self) -> str:
        hypothesis = self._decoder.hyp()
        return hypothesis.hypstr if hypothesis else ""


def _spelling(word: str) -> str:
    """`for(2)` is just another way to say `for`."""
    return word.split("(", 1)[0]


class Worker:
    """Serves sessions one message after the other."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers
        self._sessions: dict[int, Session] = {}

    def handle(self, message: Message) -> None:
        """Do what is asked; a failure ends that one session and is told."""
        try:
            self._do(message)
        except (RuntimeError, ValueError, KeyError) as error:
            self._sessions.pop(message.session, None)
            self._answer(Kind.FAILED, message.session, str(error) or repr(error))

    def _do(self, message: Message) -> None:
        number = message.session
        if message.kind is Kind.OPEN:
            self._sessions[number] = Session(**json.loads(message.body))
        elif message.kind is Kind.CLOSE:
            self._sessions.pop(number, None)
        elif number in self._sessions:  # else it failed, and that has been told
            self._hear(message, self._sessions[number])

    def _hear(self, message: Message, session: Session) -> None:
        if message.kind is Kind.START:
            session.start()
        elif message.kind is Kind.AUDIO:
            text = session.audio(message.body)
            if text is not None:
                self._answer(Kind.PARTIAL, message.session, text)
        elif message.kind is Kind.FINISH:
            self._answer(Kind.FINAL, message.session, session.finish())

    def _answer(self, kind: Kind, session: int, body: object) -> None:
        write(self._answers, Message(kind, session, json.dumps(body).encode()))


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which closes the pipe
    os.nice(_NICENESS)
    worker = Worker(sys.stdout.buffer)
    while (message := read(sys.stdin.buffer)) is not None:
        worker.handle(message)


if __name__ == "__main__":
    main()
