"""The embedded brain's dialogue: one turn of the caller in, one answer and a new state out.

    form in progress? -> forms.py                     "and for which day?"
    choosing?         -> the entry that was meant     "the second one"
    leaving, asking for a person, wanting a repetition
    something asked?  -> knowledge: sure -> answer · unsure -> ask back · else say so
    else small talk

Deterministic: the same state, words and knowledge give the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import cast

from agents.brain.embedded import errands, forms
from agents.brain.embedded.acts import Act, Understood, is_question, understand
from agents.brain.embedded.phrasebook import Phrasebook
from agents.brain.embedded.slots import Slot
from agents.brain.functions import CALL_BACK, TAKE_MESSAGE
from agents.brain.knowledge import SURE, UNSURE, Found, KnowledgePort
from agents.brain.spoken import words

CLOSE = 0.08  # two entries this near each other are both worth asking about
ASIDE_WORDS = 3  # fewer words are an answer that was not understood, not a question
RESTATES = 0.2  # what is no question by its form is answered only this much above SURE
DICTATED: tuple[Slot | None, ...] = ("phone", "number")  # a digit in a question is none of theirs


@dataclass(frozen=True, slots=True)
class State:
    """Where the dialogue is. Values only, so that a discarded reply leaves no trace."""

    said: str = ""  # the last answer in full, to repeat it
    form: forms.Form | None = None
    choices: tuple[Found, ...] = ()
    choosing_person: bool = False
    offered_person: bool = False
    offered_message: bool = False
    offered_more: bool = False
    misses: int = 0
    answers: int = 0


@dataclass(frozen=True, slots=True)
class Doing:
    """Something to do besides speaking: `hang_up`, `transfer` with a target, `note`."""

    name: str
    target: str = ""
    details: forms.Form | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`memorable`: worth repeating when the caller asks for that."""

    text: str
    state: State
    doing: Doing | None = None
    memorable: bool = True


@dataclass(frozen=True, slots=True)
class Situation:
    """What stays the same during a call. `targets`: people to transfer to, by name."""

    book: Phrasebook
    knowledge: KnowledgePort
    name: str
    topics: tuple[str, ...]
    targets: tuple[str, ...]
    can_hang_up: bool
    today: date
    errands: frozenset[str] = frozenset()  # the functions that keep something for people


async def respond(state: State, said: str, keys: str, here: Situation) -> Answer:
    """Answer one turn of the caller."""
    heard = understand(said, here.book.language)
    answer = await _respond(state, heard, keys, here)
    if answer.memorable and answer.text:
        return replace(answer, state=replace(answer.state, said=answer.text))
    return answer


async def _respond(state: State, heard: Understood, keys: str, here: Situation) -> Answer:
    if _dictates(state, heard):
        return await _in_form(state, cast(forms.Form, state.form), heard, keys, here)
    errand = errands.asked_for(heard.text, here.book.language, here.errands)
    if errand is not None and (state.form is None or state.form.intent not in errands.SLOTS):
        return _errand(state, errand, heard.text, here)
    if _wants_person(heard, here):
        return _person(state, heard, here)
    if heard.only(Act.REPEAT):
        return Answer(state.said or here.book.repeat_nothing, state, memorable=False)
    if state.form is not None:
        return await _in_form(state, state.form, heard, keys, here)
    settled = _settle(state, heard, keys, here)
    if settled is not None:
        return settled
    if _leaves(state, heard):
        return _goodbye(state, here)
    if heard.asks:
        return await _look_up(state, heard, here)
    return _small_talk(state, heard, here)


def _settle(state: State, heard: Understood, keys: str, here: Situation) -> Answer | None:
    """The answer to what the agent itself had asked; None when the caller is past it."""
    if state.choosing_person:
        return _person(state, heard, here)
    if state.offered_person or state.offered_message:
        return _offer(state, heard, here)
    if not state.choices:
        return None
    chosen = _choose(state.choices, heard, keys)
    if chosen is not None:
        return _tell(state, chosen, heard, here)
    return None if heard.asks else _not_chosen(state, heard, here)


# --- leaving, and people ------------------------------------------------------------------


def _leaves(state: State, heard: Understood) -> bool:
    if heard.asks:
        return False
    if heard.acts & {Act.GOODBYE, Act.NOTHING_MORE}:
        return True
    return Act.NO in heard.acts and (state.offered_more or Act.THANKS in heard.acts)


def _goodbye(state: State, here: Situation) -> Answer:
    doing = Doing("hang_up") if here.can_hang_up else None
    return Answer(here.book.goodbye, State(said=state.said, answers=state.answers), doing)


def _wants_person(heard: Understood, here: Situation) -> bool:
    if Act.ROBOT in heard.acts:
        return False
    return Act.PERSON in heard.acts or (
        _names_transfer(heard.text) and _named(here.targets, heard.text) is not None
    )


_TRANSFER_WORDS = {
    "transfer", "connect", "speak", "talk", "put", "hablar", "comunicar", "comunicarme",
    "comuniqueme", "comunicame", "pasar", "paseme", "pasame", "transferir", "transfierame",
}  # fmt: skip


def _names_transfer(text: str) -> bool:
    return bool(_TRANSFER_WORDS & set(words(text)))


def _person(state: State, heard: Understood, here: Situation) -> Answer:
    """Put the caller through, ask to whom, or offer a call back."""
    resting = replace(_settled(state), form=state.form)
    if not here.targets:
        return Answer(here.book.no_person, replace(resting, offered_message=True))
    named = _named(here.targets, heard.text)
    if state.choosing_person and heard.only(Act.NO):
        return Answer(here.book.dropped, _settled(state))
    if named is None and len(here.targets) > 1 and not state.choosing_person:
        targets = here.book.or_word.join(here.targets)
        text = here.book.transfer_which.format(targets=targets)
        return Answer(text, replace(resting, choosing_person=True))
    return _transfer(state, named or here.targets[0], here)


def _transfer(state: State, target: str, here: Situation) -> Answer:
    text = here.book.transfer.format(target=target)
    return Answer(text, _settled(state), Doing("transfer", target=target))


def _named(targets: Sequence[str], text: str) -> str | None:
    said = set(words(text))
    for target in targets:
        if any(len(word) > 2 and word in said for word in words(target)):
            return target
    return None


def _offer(state: State, heard: Understood, here: Situation) -> Answer | None:
    """The caller answers the offer of a person, or of a call back."""
    if Act.YES in heard.acts:
        if state.offered_person and here.targets:
            return _person(_settled(state), heard, here)
        return _message(state, here)
    if heard.only(Act.NO):
        return Answer(here.book.dropped, replace(_settled(state), offered_more=True))
    return None


def _message(state: State, here: Situation) -> Answer:
    if TAKE_MESSAGE in here.errands:
        return _errand(state, TAKE_MESSAGE, "", here)
    step = forms.begin(
        "call back", ("name", "phone"), here.book.message_closing, here.book, "", here.today
    )
    text = f"{here.book.message} {step.text}"
    return Answer(text, replace(_settled(state), form=step.form))


def _errand(state: State, name: str, said: str, here: Situation) -> Answer:
    """Keep a message, or agree on a time to call back."""
    kept = here.book.call_back_kept if name == CALL_BACK else here.book.message_kept
    step = forms.begin(name, errands.SLOTS[name], kept, here.book, said, here.today)
    return Answer(f"{here.book.message} {step.text}", replace(_settled(state), form=step.form))


def not_then(answer: Answer, form: forms.Form, here: Situation) -> Answer:
    """Nobody can be called at the time that was agreed on: ask for another."""
    step = forms.ask_again(form, ("date", "time"), here.book)
    text = f"{here.book.not_then} {step.text}"
    return Answer(text, replace(_settled(answer.state), form=step.form, said=text))


def _dictates(state: State, heard: Understood) -> bool:
    """A message is said: whatever is in it is part of it."""
    return state.form is not None and state.form.asking == "message" and heard.asks


def _settled(state: State) -> State:
    """Nothing is open any more; what was said and how often is kept."""
    return State(said=state.said, answers=state.answers)


# --- knowledge ----------------------------------------------------------------------------


async def _look_up(state: State, heard: Understood, here: Situation) -> Answer:
    found = await here.knowledge.search(heard.rest, here.book.language)
    best = found[0] if found else None
    if best is None or best.score < UNSURE:
        return _missed(state, here)
    others = [f for f in found[1:] if f.answer != best.answer and best.score - f.score < CLOSE]
    if best.score >= SURE and not (others and best.score < SURE + CLOSE):
        return _tell(state, best, heard, here)
    choices: tuple[Found, ...] = (best, *others[:1])
    if others:
        text = here.book.mean_two.format(a=_as_topic(best), b=_as_topic(others[0]))
    else:
        text = here.book.mean_one.format(a=_as_topic(best))
    return Answer(text, replace(_settled(state), choices=choices, misses=state.misses))


def _tell(state: State, entry: Found, heard: Understood, here: Situation) -> Answer:
    answers = state.answers + 1
    settled = replace(_settled(state), answers=answers)
    slots = cast(tuple[Slot, ...], entry.collect)
    if slots:
        step = forms.begin(entry.question, slots, entry.closing, here.book, heard.text, here.today)
        return Answer(f"{entry.answer} {step.text}", replace(settled, form=step.form))
    if answers % 2:
        return Answer(f"{entry.answer} {here.book.more}", replace(settled, offered_more=True))
    return Answer(entry.answer, replace(settled, offered_more=True))


def _missed(state: State, here: Situation) -> Answer:
    misses = state.misses + 1
    after = replace(_settled(state), misses=misses)
    if misses <= len(here.book.misses):
        text = here.book.misses[misses - 1].format(topics=_listed(here))
        return Answer(text, after)
    if here.targets:
        return Answer(here.book.offer_person, replace(after, offered_person=True))
    return Answer(here.book.offer_message, replace(after, offered_message=True))


def _choose(choices: tuple[Found, ...], heard: Understood, keys: str) -> Found | None:
    """The entry that the caller meant, if the words say which."""
    if len(choices) == 1:
        return choices[0] if heard.only(Act.YES) else None
    said = set(words(heard.text)) | set(keys)
    first = said & {"first", "former", "primera", "primero", "1", "one", "uno"}
    second = said & {"second", "latter", "segunda", "segundo", "2", "two", "dos", "otra", "other"}
    if bool(first) != bool(second):
        return choices[0] if first else choices[1]
    return _named_entry(choices, heard)


def _named_entry(choices: tuple[Found, ...], heard: Understood) -> Found | None:
    """The choice that shares more words with what was said than the other one does."""
    said = set(words(heard.rest))
    shared = [
        len(said & {word for part in (c.question, *c.tags) for word in words(part)})
        for c in choices
    ]
    if shared[0] == shared[1]:
        return None
    return choices[0] if shared[0] > shared[1] else choices[1]


def _not_chosen(state: State, heard: Understood, here: Situation) -> Answer:
    if Act.YES in heard.acts and len(state.choices) == 2:
        a, b = (_as_topic(choice) for choice in state.choices)
        return Answer(here.book.which.format(a=a, b=b), state)
    if heard.acts & {Act.GOODBYE, Act.NOTHING_MORE}:
        return _goodbye(state, here)
    return Answer(here.book.rephrase, replace(_settled(state), misses=state.misses + 1))


def _as_topic(entry: Found) -> str:
    """A question as part of a sentence: `¿Cuánto cuesta?` → cuánto cuesta."""
    text = entry.question.strip(" ¿?¡!.")
    return text if text[:2].isupper() or text.startswith("I ") else text[:1].lower() + text[1:]


# --- forms --------------------------------------------------------------------------------


async def _in_form(
    state: State, form: forms.Form, heard: Understood, keys: str, here: Situation
) -> Answer:
    dictates = _dictates(state, heard)
    if Act.CANCEL in heard.acts and not dictates:
        return Answer(here.book.dropped, replace(_settled(state), offered_more=True))
    if Act.GOODBYE in heard.acts and not dictates:
        return _goodbye(state, here)
    if heard.only(Act.WAIT):
        return Answer(here.book.wait, state, memorable=False)
    step = forms.answer(form, heard, keys, here.book, here.today)
    if step.complete:
        done = replace(_settled(state), offered_more=True)
        return Answer("", done, Doing("note", details=step.form))
    aside = None if keys or dictates else await _aside(form, step, heard, here)
    if aside is None:
        return Answer(step.text, replace(_settled(state), form=step.form))
    if step.understood and form.asking not in DICTATED:
        return Answer(f"{aside.answer} {step.text}", replace(_settled(state), form=step.form))
    return Answer(f"{aside.answer} {forms.prompt(form, here.book)}", state)


async def _aside(
    form: forms.Form, step: forms.Step, heard: Understood, here: Situation
) -> Found | None:
    """What to answer to a question put in the middle of a form; None where none was.

    Words that are no question by their form have to fit with hardly a doubt, and neither is
    what the form itself is about told again.
    """
    asks = is_question(heard.text, here.book.language)
    if not heard.rest or (not asks and (step.understood or len(words(heard.rest)) < ASIDE_WORDS)):
        return None
    found = await here.knowledge.search(heard.rest, here.book.language)
    sure = SURE if asks else min(1.0, SURE + RESTATES)
    fits = bool(found) and found[0].score >= sure and found[0].question != form.intent
    return found[0] if fits else None


# --- small talk ---------------------------------------------------------------------------


def _small_talk(state: State, heard: Understood, here: Situation) -> Answer:
    book = here.book
    after = replace(_settled(state), misses=state.misses)
    talk: dict[Act, Callable[[], str]] = {
        Act.ROBOT: lambda: book.robot,
        Act.WHO: lambda: book.who.format(name=here.name),
        Act.HELP: lambda: book.help.format(topics=_listed(here)),
        Act.WAIT: lambda: book.wait,
        Act.WELLBEING: lambda: book.wellbeing,
        Act.THANKS: lambda: book.thanks,
        Act.GREETING: lambda: book.greeting,
        Act.CANCEL: lambda: book.dropped,
        Act.YES: lambda: book.go_ahead,
        Act.NO: lambda: book.more,
    }
    for act, text in talk.items():
        if act in heard.acts:
            more = act in {Act.THANKS, Act.CANCEL, Act.NO}
            memorable = act in {Act.ROBOT, Act.WHO, Act.HELP}
            return Answer(text(), replace(after, offered_more=more), memorable=memorable)
    return Answer(book.unheard, state, memorable=False)


def _listed(here: Situation) -> str:
    topics = here.topics or (here.name,)
    *most, last = topics
    return f"{', '.join(most)}{here.book.or_word}{last}" if most else last
