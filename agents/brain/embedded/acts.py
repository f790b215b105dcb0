"""What a caller does with words besides asking: greeting, thanking, agreeing, leaving."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from agents.brain.spoken.fillers import content_words
from agents.brain.spoken.text import plain


class Act(StrEnum):
    """One thing that an utterance does. The order is the order of looking for them."""

    ROBOT = "robot"
    WHO = "who"
    PERSON = "person"
    NOTHING_MORE = "nothing_more"
    GOODBYE = "goodbye"
    REPEAT = "repeat"
    WELLBEING = "wellbeing"
    GREETING = "greeting"
    THANKS = "thanks"
    HELP = "help"
    WAIT = "wait"
    CANCEL = "cancel"
    NO = "no"
    YES = "yes"


@dataclass(frozen=True, slots=True)
class Understood:
    """An utterance: its acts, and what is left of it when they are taken out."""

    text: str
    acts: frozenset[Act]
    rest: str
    asks: bool  # the rest holds something that may be looked up

    def only(self, act: Act) -> bool:
        """Whether this act is there and nothing is asked besides."""
        return act in self.acts and not self.asks


_ES = {
    "robot": r"(?:eres|es usted|usted es|es|hablando con|hablo con|es esto) (?:un |una |un[ao]? )?"
    r"(?:robot|maquina|bot|inteligencia artificial|ia|grabacion|contestadora|"
    r"(?:persona|humano|ser humano)(?: real| de verdad)?)",
    "who": r"quien (?:eres|es usted|habla|me atiende)|con quien hablo|como (?:te llamas|se llama "
    r"usted|se llama)|(?:cual es|digame|dime) (?:tu|su) nombre",
    "person": r"(?:hablar|hable|comuni\w+|pas[ae]\w*|transf\w+|conect\w+|pong\w+|atiend\w+)"
    r"(?: \w+){0,3} (?:persona|humano|agente|asesor\w*|operador\w*|representante|alguien|"
    r"ejecutiv\w+|encargad\w+|gerente|supervisor\w*)(?: real| de verdad| humano)?"
    r"|^(?:un |una )?(?:persona|humano|agente|asesor|operador|operadora|representante)"
    r"(?: por favor)?$",
    "nothing_more": r"(?:eso|con eso|seria|eso seria|eso es) (?:es )?todo|\bes todo\b|\bnada mas\b"
    r"|no necesito (?:nada )?mas",
    "goodbye": r"\b(?:adios|hasta (?:luego|pronto|mañana|la proxima)|nos vemos|chao|chau|bye|"
    r"(?:puede |quiero |ya puede )?(?:colgar|cuelgue|terminar la llamada)|"
    r"que tenga (?:un |una )?buen\w* (?:dia|tarde|noche)s?)\b",
    "repeat": r"\brep[ei]t\w+|no (?:le |te |lo )?(?:oi|escuche|entendi|alcance a oir)|como dijo"
    r"|que dijo|^(?:mande|como|perdon|que)$|otra vez(?: por favor)?$",
    "wellbeing": r"como (?:esta|estas|le va|te va)\b",
    "greeting": r"\b(?:hola|buen dia|buenos dias|buenas tardes|buenas noches|buenas|alo|que tal)\b",
    "thanks": r"\b(?:muchas |mil |muchisimas )?gracias\b|muy amable|(?:se|te) lo agradezco",
    "help": r"en que (?:me )?(?:puede|puedes|podria) ayudar(?:me)?|que (?:puedes?|sabes?) hacer"
    r"|^(?:ayuda|necesito ayuda|opciones|menu)$",
    "wait": r"^(?:un (?:momento|momentito|segundo)|espere?|esperame|espereme|permitame|deme un "
    r"(?:momento|segundo))(?: un (?:momento|segundo))?(?: por favor)?$",
    "cancel": r"olvid[ae]\w*|dejal[oa]|dejel[oa]|mejor no|ya no quiero|no importa"
    r"|^cancela(?:r|lo)?(?: eso)?$",
    "no": r"^(?:no|nop|incorrecto|negativo|para nada|esta mal|todavia no|ahora no)\b",
    "yes": r"^(?:si|claro(?: que si)?|correcto|exacto|exactamente|asi es|por supuesto|de acuerdo|"
    r"esta bien|ok|okay|vale|afirmativo|eso es|perfecto|sip|adelante|va)\b",
}
_EN = {
    "robot": r"(?:are you|you are|you're|talking to|speaking to|speaking with|is this) "
    r"(?:a |an )?(?:real )?(?:robot|machine|bot|computer|ai|artificial intelligence|recording|"
    r"person|human(?: being)?)",
    "who": r"who (?:are you|is this|am i (?:talking|speaking) (?:to|with))"
    r"|what(?:'s| is) your name",
    "person": r"(?:talk|speak|transfer|connect|put|pass|get|give|need|want)(?: \w+){0,4} "
    r"(?:person|human|agent|operator|representative|somebody|someone|manager|supervisor|people)"
    r"|^(?:a |an )?(?:real )?(?:person|human|agent|operator|representative)(?: please)?$",
    "nothing_more": r"that(?:'s| is| will be|'ll be) (?:all|it|everything)|nothing (?:else|more)"
    r"|i'm (?:done|good|all set)",
    "goodbye": r"\b(?:goodbye|good bye|bye(?: bye)?|see you(?: later| soon)?|talk to you later|"
    r"have a (?:good|nice|great) (?:day|one|evening|night)|(?:please )?(?:hang up|end the call))\b",
    "repeat": r"\brepeat\b|say (?:that|it) again|(?:didn't|did not|couldn't|can't) (?:hear|catch|"
    r"get|understand)|^(?:pardon|sorry|what|excuse me)(?: me)?$|come again|what did you say"
    r"|once more|one more time",
    "wellbeing": r"how are you(?: doing)?(?: today)?|how's it going",
    "greeting": r"\b(?:hello|hi|hey|good (?:morning|afternoon|evening))\b",
    "thanks": r"\b(?:thank you(?: very much| so much)?|thanks(?: a lot| so much)?|cheers)\b"
    r"|appreciate it",
    "help": r"(?:what|how) can you (?:do|help)(?: me)?(?: with)?|^(?:help|help me|i need help|"
    r"options|menu)$",
    "wait": r"^(?:(?:just )?(?:one|a|give me a) (?:moment|second|minute|sec)|wait|hold on|hang on)"
    r"(?: a (?:moment|second|minute))?(?: please)?$",
    "cancel": r"never ?mind|forget (?:it|that|about it)|don't bother|i changed my mind"
    r"|^cancel(?: that| it)?$",
    "no": r"^(?:no|nope|nah|wrong|incorrect|not (?:really|yet|now|quite|correct|right))\b",
    "yes": r"^(?:yes|yeah|yep|yup|sure|correct|right|exactly|that's (?:right|correct|it)|of course|"
    r"ok|okay|fine|absolutely|definitely|please do|go ahead|alright|all right)\b",
}
_PATTERNS = {
    language: {act: re.compile(table[act]) for act in Act}
    for language, table in (("es", _ES), ("en", _EN))
}


def understand(text: str, language: str) -> Understood:
    """Find the acts in what was said, and what is asked besides them."""
    code = "es" if language[:2].lower() == "es" else "en"
    rest = _squeeze(re.sub(r"[^a-z0-9ñ'+]+", " ", plain(text)))
    acts: set[Act] = set()
    for act, pattern in _PATTERNS[code].items():
        rest, found = pattern.subn(" ", rest)
        if found:
            acts.add(act)
            rest = _squeeze(rest)
    return Understood(text, frozenset(acts), rest, bool(content_words(rest, code)))


_LEADS = 4  # words in which a question shows: "perdón, ¿y cuánto ..."
_INTERROGATIVES = {
    # with their accents where a word without one means something else
    "es": re.compile(
        r"\b(?:qué|cómo|c[uú][aá]nt[oa]s?|cu[aá]l(?:es)?|a?d[oó]nde|cu[aá]ndo|qui[eé]n(?:es)?)\b"
    ),
    "en": re.compile(r"\b(?:how|what|where|when|which|who|why)(?:'s|s)?\b"),
}


def is_question(text: str, language: str) -> bool:
    """Whether it is put as a question: by its mark, or by a question word near its beginning."""
    code = "es" if language[:2].lower() == "es" else "en"
    first = " ".join(text.lower().split()[:_LEADS])
    return "?" in text or _INTERROGATIVES[code].search(first) is not None


def _squeeze(text: str) -> str:
    return " ".join(text.split())
