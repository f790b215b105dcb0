"""Collecting a name, a telephone number, a date over several turns.

    ask a slot -> read it -> [a phone number is read back] -> next slot
    -> read everything back -> yes: complete -- no: which one? -> ask that slot again

A form is an immutable value: answering gives a new one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, time

from agents.brain.embedded.acts import Act, Understood
from agents.brain.embedded.phrasebook import Phrasebook
from agents.brain.embedded.slots import Slot
from agents.brain.spoken import (
    find_date,
    find_digits,
    find_name,
    find_number,
    find_time,
    plain,
    say_date,
    say_time,
)
from agents.brain.spoken import say_digits as spoken_digits

MIN_PHONE_DIGITS, MAX_PHONE_DIGITS = 7, 15
MAX_TRIES = 3


@dataclass(frozen=True, slots=True)
class Form:
    """What is being collected. `values` are plain: digits, ISO dates, names; "" = left open."""

    intent: str
    slots: tuple[Slot, ...]
    closing: str = ""
    values: Mapping[Slot, str] = field(default_factory=dict)
    asking: Slot | None = None
    digits: str = ""  # of a telephone number that is still being dictated
    confirming: bool = False  # the telephone number was read back
    reviewing: bool = False  # everything was read back
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """What to say next. `complete`: the caller has confirmed everything."""

    form: Form
    text: str
    complete: bool = False
    understood: bool = True


def begin(
    intent: str, slots: tuple[Slot, ...], closing: str, book: Phrasebook, said: str, today: date
) -> Step:
    """Start collecting. A day, a time or a number of people in the question is taken at once."""
    form = Form(intent, slots, closing)
    for slot in slots:
        if slot == "date" and (day := find_date(said, book.language, today)):
            form = _with(form, slot, day.isoformat())
        if slot == "time" and (at := find_time(said, book.language)):
            form = _with(form, slot, at.isoformat("minutes"))
        if slot == "people" and (count := _people(said, book)):
            form = _with(form, slot, str(count))
    return _next(form, book)


def answer(form: Form, heard: Understood, keys: str, book: Phrasebook, today: date) -> Step:
    """Take in one turn of the caller; `keys` are those pressed on the telephone."""
    if form.reviewing:
        return _review(form, heard, book)
    if form.confirming:
        return _confirm(form, heard, keys, book)
    slot = form.asking
    if slot is None:
        return _next(form, book)
    if slot == "phone":
        return _phone(form, heard, keys, book)
    value = _read(slot, heard, keys, book, today)
    return _next(_with(form, slot, value), book) if value else _not_understood(form, slot, book)


def ask_again(form: Form, slots: tuple[Slot, ...], book: Phrasebook) -> Step:
    """What was given for these cannot be; all else is kept."""
    kept = {slot: value for slot, value in form.values.items() if slot not in slots}
    return _next(replace(form, values=kept, reviewing=False), book)


def prompt(form: Form, book: Phrasebook) -> str:
    """What the caller is to answer now, said once more."""
    if form.reviewing:
        return _summary(form, book)
    if form.confirming:
        return book.confirm_phone.format(digits=spoken_digits(form.digits))
    if form.digits:
        return book.digits_so_far.format(digits=spoken_digits(form.digits))
    return book.ask[form.asking] if form.asking else ""


def _summary(form: Form, book: Phrasebook) -> str:
    values = [
        spoken_value(slot, form.values[slot], book) for slot in form.slots if form.values[slot]
    ]
    return book.summary.format(values="; ".join(values))


def spoken_value(slot: Slot, value: str, book: Phrasebook) -> str:
    """A stored value as it is read aloud, with its name where it does not speak for itself."""
    if slot == "date":
        return say_date(date.fromisoformat(value), book.language)
    if slot == "time":
        return say_time(time.fromisoformat(value), book.language)
    if slot == "people":
        return f"{value} {book.people}"
    said = spoken_digits(value) if slot in {"phone", "number"} else value
    return f"{book.label[slot][0]}, {said}"


def _next(form: Form, book: Phrasebook) -> Step:
    missing = next((slot for slot in form.slots if slot not in form.values), None)
    fresh = replace(form, digits="", confirming=False, tries=0)
    if missing is not None:
        return Step(replace(fresh, asking=missing), book.ask[missing])
    if not any(form.values.values()):
        return Step(replace(fresh, asking=None), "", complete=True)
    return Step(replace(fresh, asking=None, reviewing=True), _summary(form, book))


def _read(slot: Slot, heard: Understood, keys: str, book: Phrasebook, today: date) -> str:
    if slot == "name":
        return find_name(heard.text, book.language) or ""
    if slot == "date":
        day = find_date(heard.text, book.language, today)
        return day.isoformat() if day is not None else ""
    if slot == "time":
        at = find_time(heard.text, book.language) or _hour(keys or heard.text, book)
        return at.isoformat("minutes") if at is not None else ""
    if slot == "message":
        return heard.text.strip()
    if slot == "people":
        return str(
            _people(heard.text, book) or find_number(keys or heard.text, book.language) or ""
        )
    return keys.strip("*#") or find_digits(heard.text, book.language)


def _hour(said: str, book: Phrasebook) -> time | None:
    """An hour that was said alone, since it was asked for: `five`, `las cinco`, keys."""
    hour = find_number(said, book.language)
    lead = {"es": "a las", "en": "at"}[book.language]
    return find_time(f"{lead} {hour}", book.language) if hour is not None else None


_PEOPLE = {
    "es": re.compile(r"(\w+(?: y \w+)?) (?:personas?|adultos?|pasajeros?|gentes?)"),
    "en": re.compile(r"(\w+(?: \w+)?) (?:people|persons?|adults?|guests?|of us)"),
}


def _people(said: str, book: Phrasebook) -> int | None:
    found = _PEOPLE[book.language].search(plain(said))
    count = find_number(found[1], book.language) if found else None
    return count if count and count <= 500 else None


def _phone(form: Form, heard: Understood, keys: str, book: Phrasebook) -> Step:
    new = keys.strip("*#") or find_digits(heard.text, book.language)
    if not new:
        return _not_understood(form, "phone", book)
    digits = form.digits + (new if not form.digits else new.lstrip("+"))
    return _take_digits(form, digits, book)


def _take_digits(form: Form, digits: str, book: Phrasebook) -> Step:
    count = len(digits.lstrip("+"))
    if count < MIN_PHONE_DIGITS:
        text = book.digits_so_far.format(digits=spoken_digits(digits))
        return Step(replace(form, digits=digits, confirming=False), text)
    if count > MAX_PHONE_DIGITS:
        return _not_understood(replace(form, digits="", confirming=False), "phone", book)
    text = book.confirm_phone.format(digits=spoken_digits(digits))
    return Step(replace(form, digits=digits, confirming=True), text)


def _confirm(form: Form, heard: Understood, keys: str, book: Phrasebook) -> Step:
    """The number was read back: yes, no, a correction, or some more digits."""
    new = keys.strip("*#") or find_digits(heard.text, book.language)
    if Act.NO in heard.acts or len(new.lstrip("+")) >= MIN_PHONE_DIGITS:
        if new:
            return _take_digits(form, new, book)
        again = replace(form, digits="", confirming=False)
        return Step(again, book.ask["phone"])
    if new and Act.YES not in heard.acts:
        return _take_digits(form, form.digits + new.lstrip("+"), book)
    if Act.YES in heard.acts:
        return _next(_with(form, "phone", form.digits), book)
    text = book.confirm_phone.format(digits=spoken_digits(form.digits))
    return Step(form, text, understood=False)


def _review(form: Form, heard: Understood, book: Phrasebook) -> Step:
    """Everything was read back: yes, no, or which of it is wrong."""
    wrong = _named_slot(form, heard.text, book)
    if wrong is not None:
        return ask_again(form, (wrong,), book)
    if Act.YES in heard.acts and Act.NO not in heard.acts:
        return Step(form, "", complete=True)
    labels = book.or_word.join(book.label[slot][0] for slot in form.slots)
    text = book.what_to_change.format(labels=labels)
    return Step(form, text, understood=Act.NO in heard.acts)


def _named_slot(form: Form, text: str, book: Phrasebook) -> Slot | None:
    said = plain(text)
    for slot in form.slots:
        if any(re.search(rf"\b{plain(label)}\b", said) for label in book.label[slot]):
            return slot
    return None


def _not_understood(form: Form, slot: Slot, book: Phrasebook) -> Step:
    tries = form.tries + 1
    if tries < MAX_TRIES:
        return Step(replace(form, tries=tries), book.again[slot], understood=False)
    following = _next(_with(form, slot, ""), book)
    text = f"{book.skipped} {following.text}".strip()
    return replace(following, text=text)


def _with(form: Form, slot: Slot, value: str) -> Form:
    return replace(form, values={**form.values, slot: value})
