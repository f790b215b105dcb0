"""Everything that the embedded brain says of its own, in both languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agents.brain.embedded.slots import Slot


@dataclass(frozen=True, slots=True)
class Phrasebook:
    """Sentences with {gaps}. `ask`, `again` and `label` are by slot."""

    language: Literal["es", "en"]
    greeting: str
    wellbeing: str
    thanks: str
    who: str
    robot: str
    help: str
    wait: str
    go_ahead: str
    more: str
    goodbye: str
    repeat_nothing: str
    unheard: str
    people: str
    misses: tuple[str, ...]
    mean_one: str
    mean_two: str
    which: str
    or_word: str
    rephrase: str
    transfer: str
    transfer_which: str
    no_person: str
    offer_person: str
    offer_message: str
    message: str
    message_closing: str
    message_kept: str
    call_back_kept: str
    not_then: str
    briefing: str
    dropped: str
    ask: dict[Slot, str]
    again: dict[Slot, str]
    label: dict[Slot, tuple[str, ...]]
    digits_so_far: str
    confirm_phone: str
    summary: str
    what_to_change: str
    skipped: str
    noted: str
    not_noted: str


ES = Phrasebook(
    language="es",
    greeting="Hola. ¿En qué le puedo ayudar?",
    wellbeing="Muy bien, gracias. ¿En qué le puedo ayudar?",
    thanks="Con gusto. ¿Le ayudo con algo más?",
    who="Soy {name}, asistente virtual. ¿En qué le puedo ayudar?",
    robot="Soy un programa de computadora, no una persona: respondo con la información que me han "
    "dado. ¿En qué le puedo ayudar?",
    help="Le puedo informar sobre {topics}. ¿Qué le gustaría saber?",
    wait="Claro, aquí espero.",
    go_ahead="Claro, dígame.",
    more="¿Le ayudo con algo más?",
    goodbye="Gracias por llamar. Que tenga un buen día.",
    repeat_nothing="Claro. ¿Qué le gustaría saber?",
    unheard="Disculpe, no le escuché bien. ¿Me lo repite?",
    people="personas",
    misses=(
        "Disculpe, no encuentro eso. ¿Me lo puede decir con otras palabras?",
        "Sigo sin encontrarlo. Le puedo informar sobre {topics}. ¿Qué le interesa?",
    ),
    mean_one="No estoy segura de haber entendido. ¿Su pregunta es: {a}?",
    mean_two="¿Se refiere a esto: {a}? ¿O a esto otro: {b}?",
    which="¿A la primera o a la segunda: {a}, o {b}?",
    or_word=" o ",
    rephrase="Entiendo. ¿Me lo puede decir con otras palabras?",
    transfer="Le comunico con {target}. Un momento, por favor.",
    transfer_which="¿Con quién le comunico: {targets}?",
    no_person="En este momento no puedo pasarle con una persona. Puedo anotar su nombre y su "
    "teléfono para que le llamen. ¿Le parece bien?",
    offer_person="No tengo esa información. ¿Quiere que le comunique con una persona?",
    offer_message="No tengo esa información. Puedo anotar su nombre y su teléfono para que una "
    "persona le llame. ¿Le parece bien?",
    message="Con gusto.",
    message_closing="Gracias. Una persona de nuestro equipo le llamará.",
    message_kept="Gracias. Daré su mensaje a nuestro equipo.",
    call_back_kept="Gracias. Le llamaremos entonces.",
    not_then="Lo siento, entonces no le podemos llamar.",
    briefing="Quien llama dijo: {said}",
    dropped="De acuerdo, lo dejamos. ¿Le ayudo con algo más?",
    ask={
        "name": "¿A nombre de quién?",
        "phone": "¿Me da su número de teléfono, por favor?",
        "date": "¿Para qué día?",
        "people": "¿Para cuántas personas?",
        "number": "¿Qué número es?",
        "time": "¿A qué hora?",
        "message": "¿Cuál es el mensaje?",
    },
    again={
        "name": "Disculpe, no entendí el nombre. ¿Me lo repite?",
        "phone": "Disculpe, no entendí el número. ¿Me lo dice cifra por cifra?",
        "date": "Disculpe, no entendí la fecha. ¿Qué día y qué mes?",
        "people": "Disculpe, ¿cuántas personas serían?",
        "number": "Disculpe, no entendí el número. ¿Me lo repite?",
        "time": "Disculpe, no entendí la hora. ¿Me la repite?",
        "message": "Disculpe, no le escuché bien. ¿Cuál es el mensaje?",
    },
    label={
        "name": ("nombre",),
        "phone": ("teléfono", "numero", "celular"),
        "date": ("fecha", "dia"),
        "people": ("personas", "gente", "cuantos"),
        "number": ("número", "cifra"),
        "time": ("hora",),
        "message": ("mensaje", "recado"),
    },
    digits_so_far="Tengo {digits}. Continúe, por favor.",
    confirm_phone="Su número es {digits}. ¿Es correcto?",
    summary="Entonces: {values}. ¿Está todo correcto?",
    what_to_change="¿Qué corrijo: {labels}?",
    skipped="No pasa nada, lo dejamos en blanco.",
    noted="Listo, ya quedó anotado.",
    not_noted="Disculpe, no pude guardar sus datos. Por favor, llámenos de nuevo más tarde.",
)
EN = Phrasebook(
    language="en",
    greeting="Hello. How can I help you?",
    wellbeing="Very well, thank you. How can I help you?",
    thanks="You are welcome. Can I help you with anything else?",
    who="I am {name}, a virtual assistant. How can I help you?",
    robot="I am a computer program, not a person: I answer from the information I was given. "
    "How can I help you?",
    help="I can tell you about {topics}. What would you like to know?",
    wait="Sure, take your time.",
    go_ahead="Sure, go ahead.",
    more="Can I help you with anything else?",
    goodbye="Thank you for calling. Have a nice day. Goodbye.",
    repeat_nothing="Sure. What would you like to know?",
    unheard="Sorry, I did not hear you well. Could you say that again?",
    people="people",
    misses=(
        "Sorry, I cannot find that. Could you say it in other words?",
        "I still cannot find it. I can tell you about {topics}. What are you interested in?",
    ),
    mean_one="I am not sure I understood. Is your question: {a}?",
    mean_two="Do you mean this: {a}? Or this: {b}?",
    which="The first or the second: {a}, or {b}?",
    or_word=" or ",
    rephrase="I see. Could you say it in other words?",
    transfer="I am putting you through to {target}. One moment, please.",
    transfer_which="Who would you like to speak to: {targets}?",
    no_person="I cannot put you through to a person right now. I can take your name and number so "
    "that somebody calls you back. Would you like that?",
    offer_person="I do not have that information. Shall I put you through to a person?",
    offer_message="I do not have that information. I can take your name and number so that "
    "somebody calls you back. Would you like that?",
    message="Gladly.",
    message_closing="Thank you. One of our team will call you back.",
    message_kept="Thank you. I will pass your message on to our team.",
    call_back_kept="Thank you. We will call you then.",
    not_then="I am sorry, we cannot call you then.",
    briefing="The caller said: {said}",
    dropped="All right, we will leave it. Can I help you with anything else?",
    ask={
        "name": "What name should I put down?",
        "phone": "What is your phone number, please?",
        "date": "For what day?",
        "people": "For how many people?",
        "number": "What is the number?",
        "time": "At what time?",
        "message": "What is the message?",
    },
    again={
        "name": "Sorry, I did not get the name. Could you say it again?",
        "phone": "Sorry, I did not get the number. Could you say it digit by digit?",
        "date": "Sorry, I did not get the date. Which day and month?",
        "people": "Sorry, how many people would that be?",
        "number": "Sorry, I did not get the number. Could you say it again?",
        "time": "Sorry, I did not get the time. Could you say it again?",
        "message": "Sorry, I did not hear you well. What is the message?",
    },
    label={
        "name": ("name",),
        "phone": ("phone number", "phone", "telephone"),
        "date": ("date", "day"),
        "people": ("number of people", "people", "how many"),
        "number": ("number",),
        "time": ("time", "hour"),
        "message": ("message",),
    },
    digits_so_far="I have {digits}. Please go on.",
    confirm_phone="Your number is {digits}. Is that correct?",
    summary="So: {values}. Is that all correct?",
    what_to_change="What should I change: {labels}?",
    skipped="No problem, we will leave it open.",
    noted="Done, I have noted that.",
    not_noted="Sorry, I could not save your details. Please call us again later.",
)


def phrasebook_for(language: str) -> Phrasebook:
    """The phrasebook of a language or dialect; English when there is none."""
    return ES if language[:2].lower() == "es" else EN
