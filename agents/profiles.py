"""Typed settings of an agent version on one channel: a pydantic model per group.

A version stores one `ChannelProfile` per channel as JSON. Everything that reaches a call goes
through `parse_profile`, which refuses a bad value by name, with the value and what is allowed.
Times are milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import phonenumbers
from annotated_types import MaxLen
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from agents.premium import is_premium
from agents.refusals import Problem, refusal

Channel = Literal["browser", "twilio", "telnyx", "threecx"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
# Where a caller can be put through to an extension, which no public network knows.
PBX_CHANNELS: frozenset[Channel] = frozenset({"threecx"})

Language = Literal["es", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

Dialect = Literal[
    "es-ES", "es-MX", "es-AR", "es-CL", "es-CO", "es-PE",
    "en-US", "en-GB", "en-AU", "en-CA", "en-IE",
]  # fmt: skip
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)
DEFAULT_DIALECT: dict[Language, Dialect] = {"es": "es-MX", "en": "en-US"}

FALLBACKS = _(
    "Who steps in when the wished one fails or has no key, one a line, in this order. Empty: every "
    "other one there is a key for. The embedded one is always the last."
)


def usual_dialect(language: str) -> Dialect:
    """The dialect of a language where nobody chose one; English for an unknown language."""
    return DEFAULT_DIALECT["es" if language[:2] == "es" else "en"]


def _distinct(fallbacks: tuple[str, ...], chosen: str | None) -> tuple[str, ...]:
    """The same; ValueError for one that is named twice, or is the chosen one."""
    for at, name in enumerate(fallbacks):
        if name == chosen:
            raise ValueError(
                gettext("%(name)s is the chosen one; it needs no second place")
                % {"name": repr(name)}
            )
        if name in fallbacks[:at]:
            raise ValueError(gettext("%(name)s is there twice") % {"name": repr(name)})
    return fallbacks


class Settings(BaseModel):
    """Unknown names are refused and nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


def _ms(default: int, low: int, high: int, description: str) -> Any:
    return Field(default, ge=low, le=high, description=description)


class ModelSettings(Settings):
    """Which language model answers, and how freely."""

    provider: Literal["groq", "embedded"] = Field(
        "groq",
        description=_("Who thinks. Without a key, or when it fails, the embedded brain answers."),
    )
    model: str = Field(
        "", max_length=120, description=_("Model id. Empty: the installation's (GROQ_MODEL).")
    )
    fallbacks: tuple[Annotated[str, MaxLen(120)], ...] = Field(
        (),
        max_length=5,
        description=_(
            "Further model ids of the provider, one a line, in the order in which they step in "
            "when the one before is slow or fails. The embedded brain is always the last."
        ),
    )
    temperature: float = Field(
        0.4, ge=0.0, le=2.0, description=_("0 always says the likeliest; higher is freer.")
    )
    max_tokens: int = Field(
        600, ge=32, le=4096, description=_("Longest reply in tokens, hidden reasoning included.")
    )
    reasoning_effort: Literal["low", "medium", "high"] = Field(
        "low", description=_("How long a reasoning model may think before it speaks.")
    )
    history_window: int = Field(
        40, ge=2, le=400, description=_("How many past turns the model is shown.")
    )

    @field_validator("fallbacks")
    @classmethod
    def _in_order(cls, fallbacks: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return _distinct(fallbacks, info.data.get("model"))


class VoiceSettings(Settings):
    """Who speaks, and how."""

    provider: Literal["azure", "elevenlabs", "openai", "groq", "embedded"] = Field(
        "azure", description=_("Wished voice provider; the others follow in order if it fails.")
    )
    fallbacks: tuple[Literal["azure", "elevenlabs", "openai", "groq"], ...] = Field(
        (), description=FALLBACKS
    )
    voice: str = Field(
        "", max_length=120, description=_("Voice name or id. Empty: the provider's default.")
    )
    dialect: Dialect = Field("es-MX", description=_("Language and country of the voice."))
    speed: float = Field(1.0, ge=0.5, le=2.0, description=_("1 is the voice's own pace."))
    pitch: float = Field(0.0, ge=-50.0, le=50.0, description=_("Percent above or below its own."))
    voices: dict[Dialect, Annotated[str, MaxLen(120)]] = Field(
        default_factory=dict,
        description=_(
            "Voices for calls in another language: `en-GB = voice`, one a line. Without one it "
            "is a voice of the same gender in the language's usual dialect."
        ),
    )
    style: str = Field("", max_length=60, description=_("Speaking style, where the voice has any."))
    style_degree: float = Field(1.0, ge=0.01, le=2.0, description=_("How strongly it shows."))
    lexicon: dict[str, str] = Field(
        default_factory=dict,
        max_length=500,
        description=_("How to say a word: `word = how it sounds`, one a line."),
    )

    @field_validator("lexicon")
    @classmethod
    def _no_empty_words(cls, lexicon: dict[str, str]) -> dict[str, str]:
        for word, sound in lexicon.items():
            if not word.strip() or not sound.strip():
                values = {"word": repr(word), "sound": repr(sound)}
                raise ValueError(gettext("%(word)s = %(sound)s: both sides need a text") % values)
        return lexicon

    @field_validator("fallbacks")
    @classmethod
    def _in_order(cls, fallbacks: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return _distinct(fallbacks, info.data.get("provider"))

    def in_language(self, language: str) -> tuple[Dialect, str | None]:
        """The dialect and the voice for a call in this language; None: nobody chose a voice."""
        if self.dialect.startswith(language):
            return self.dialect, self.voice
        for dialect, voice in self.voices.items():
            if dialect.startswith(language):
                return dialect, voice
        return usual_dialect(language), None


class TurnSettings(Settings):
    """Every parameter of turn-taking; names and defaults are those of `TurnOptions`."""

    vad_threshold: float = Field(
        0.5, ge=0.05, le=0.95, description=_("Speech probability from which it counts as speech.")
    )
    vad_min_speech: int = _ms(60, 20, 1000, _("Speech starts after this much of it."))
    vad_min_silence: int = _ms(250, 50, 3000, _("Speech stops after this much silence."))
    vad_prefix: int = _ms(
        300, 0, 1000, _("Sound kept from before the start, for the first letter.")
    )
    noise_adaptation: bool = Field(True, description=_("Follow the noise of the line."))
    endpointing_min: int = _ms(400, 50, 5000, _("Wait after speech when the caller seems done."))
    endpointing_max: int = _ms(2500, 200, 10000, _("Wait when the caller does not seem done."))
    endpointing_adaptive: bool = Field(True, description=_("Follow this caller's own pauses."))
    endpointing_dictation: int = _ms(1500, 200, 10000, _("Wait while a number is dictated."))
    bargein: bool = Field(True, description=_("Callers may interrupt the agent."))
    bargein_min_duration: int = _ms(400, 50, 5000, _("Speech that makes an interruption."))
    bargein_min_words: int = Field(
        0, ge=0, le=20, description=_("Words that make an interruption; 0: duration alone.")
    )
    backchannels: tuple[str, ...] | None = Field(
        None,
        max_length=100,
        description=_("Words that never interrupt, one a line. Empty: the language's own list."),
    )
    false_interruption_timeout: int = _ms(
        1500, 200, 10000, _("Interrupted without words: go on speaking after this long.")
    )
    greeting_protected: int = _ms(
        0, 0, 30000, _("Start of the greeting that cannot be interrupted.")
    )
    keys_terminator: Literal["#", "*", ""] = Field(
        "#", description=_("The key that says that the keys before it are all.")
    )
    keys_timeout: int = _ms(1000, 200, 10000, _("Keys are all when no other comes for this long."))
    keys_max_digits: int = Field(
        0, ge=0, le=32, description=_("So many keys are all; 0: any number.")
    )
    keys_interrupt: bool = Field(True, description=_("A key interrupts the agent."))
    preemptive: bool = Field(True, description=_("Prepare the reply before the caller has ended."))
    away_after: int = _ms(10000, 0, 120000, _("Silence until the caller is asked again; 0: never."))
    away_prompts: int = Field(
        2, ge=0, le=10, description=_("How often a silent caller is asked before the goodbye.")
    )
    caller_turn_limit: int = _ms(60000, 0, 600000, _("Longest turn of a caller; 0: no limit."))
    max_duration: int = _ms(1800000, 30000, 14400000, _("Longest call; then goodbye."))
    transcript_timeout: int = _ms(3000, 500, 20000, _("Speech without a transcript: ask again."))
    first_token_timeout: int = _ms(4000, 500, 20000, _("Wait for the model before the next one."))
    first_audio_timeout: int = _ms(3000, 500, 20000, _("Wait for the voice before the next one."))
    filler_after: int = _ms(1200, 0, 10000, _("Slow answer: a filler after this long; 0: none."))
    send_timeout: int = _ms(
        5000, 500, 30000, _("A line that takes no sound for this long is lost.")
    )

    @model_validator(mode="after")
    def _min_is_not_over_max(self) -> TurnSettings:
        if self.endpointing_min > self.endpointing_max:
            limits = {"min": self.endpointing_min, "max": self.endpointing_max}
            raise ValueError(
                gettext(
                    "endpointing_min is %(min)s; it may not exceed endpointing_max, which is "
                    "%(max)s"
                )
                % limits
            )
        return self


class TranscriberSettings(Settings):
    """Who listens, for what, and when a turn is over."""

    provider: Literal["azure", "groq", "openai", "embedded", "browser"] = Field(
        "azure", description=_("Wished recogniser; the others follow in order if it fails.")
    )
    fallbacks: tuple[Literal["azure", "groq", "openai", "browser"], ...] = Field(
        (), description=FALLBACKS
    )
    languages: tuple[Dialect, ...] = Field(
        ("es-MX",),
        max_length=4,
        description=_("What callers speak; first is likeliest."),
    )
    keyterms: tuple[Annotated[str, MaxLen(80)], ...] = Field(
        (), max_length=200, description=_("Names and terms to expect, one a line.")
    )
    denoising: Literal["none", "spectral", "rnnoise"] = Field(
        "none", description=_("Clean the caller's sound before it is recognised.")
    )
    turns: TurnSettings = Field(default_factory=TurnSettings, title=_("Turn-taking"))

    @field_validator("languages")
    @classmethod
    def _at_least_one(cls, languages: tuple[Dialect, ...]) -> tuple[Dialect, ...]:
        if not languages:
            raise ValueError(gettext("at least one language is needed"))
        return languages

    @field_validator("fallbacks")
    @classmethod
    def _in_order(cls, fallbacks: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return _distinct(fallbacks, info.data.get("provider"))

    def languages_in(self, language: str) -> tuple[Dialect, ...]:
        """What to listen for on a call in this language: its dialects first, never none."""
        own = tuple(dialect for dialect in self.languages if dialect.startswith(language))
        others = tuple(dialect for dialect in self.languages if dialect not in own)
        return (*(own or (usual_dialect(language),)), *others)


class RelaySettings(Settings):
    """Whether the carrier hears and speaks by itself, and how. Twilio alone can."""

    enabled: bool = Field(
        False,
        description=_(
            "In calls by Twilio, Twilio itself hears and speaks (ConversationRelay) instead of "
            "the transcriber and the voice chosen here; such calls are not recorded. Calls by "
            "other carriers and from pages are held with Andrea's own speech all the same."
        ),
    )
    voice_provider: Literal["ElevenLabs", "Google", "Amazon"] = Field(
        "ElevenLabs", description=_("Whose voice Twilio speaks with.")
    )
    voice: str = Field(
        "",
        max_length=120,
        description=_("Voice as Twilio names it. Empty: its usual one for the language."),
    )
    transcriber: Literal["Deepgram", "Google"] = Field(
        "Deepgram", description=_("Whose recogniser Twilio hears with.")
    )


_EXTENSION = re.compile(r"[0-9]{2,8}")


class TransferTarget(Settings):
    """A person or desk to whom calls may be handed."""

    name: str = Field(min_length=1, max_length=60)
    number: str = Field(max_length=32)
    description: str = Field("", max_length=200)
    warm: bool = False  # the person hears a briefing first, and takes the call or does not

    @field_validator("number")
    @classmethod
    def _can_be_dialled(cls, number: str, info: ValidationInfo) -> str:
        at_a_pbx = (info.context or {}).get("channel") in PBX_CHANNELS
        return number if at_a_pbx and _EXTENSION.fullmatch(number) else e164(number)


def e164(number: str) -> str:
    """`number` in E.164 form. ValueError when it is none that a caller may be put through to."""
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        raise ValueError(
            gettext("%(number)s is not an international number such as +525512345678")
            % {"number": repr(number)}
        ) from None
    if not phonenumbers.is_valid_number(parsed):
        raise ValueError(
            gettext("%(number)s is not a number that exists in its country's plan")
            % {"number": repr(number)}
        )
    if is_premium(parsed):
        raise ValueError(
            gettext("%(number)s is a premium-rate number, to which nobody is put through")
            % {"number": repr(number)}
        )
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


class FunctionSettings(Settings):
    """What the agent may do besides speaking."""

    hang_up: bool = Field(True, description=_("The agent may end the call."))
    dtmf: bool = Field(False, description=_("The agent may press keys."))
    transfer_targets: tuple[TransferTarget, ...] = Field(
        (),
        max_length=50,
        description=_(
            "People to transfer to: `name = +number (when to use it)`, one a line. With `warm` "
            "after the number the person is briefed first, and accepts or declines. At a 3CX the "
            "number may be an extension."
        ),
    )
    hand_off_agents: tuple[Annotated[str, MaxLen(60)], ...] = Field(
        (), max_length=50, description=_("Slugs of other agents that may take over, one a line.")
    )

    take_messages: bool = Field(
        False, description=_("The agent may take messages for the people of the company.")
    )
    call_backs: bool = Field(False, description=_("The agent may agree on a time to call back."))

    @field_validator("transfer_targets")
    @classmethod
    def _names_differ(cls, targets: tuple[TransferTarget, ...]) -> tuple[TransferTarget, ...]:
        seen: set[str] = set()
        for target in targets:
            if target.name.casefold() in seen:
                raise ValueError(
                    gettext("%(name)s is there twice; names must differ")
                    % {"name": repr(target.name)}
                )
            seen.add(target.name.casefold())
        return targets


class AdvancedSettings(Settings):
    """Recording, background sound, and what to say to a silent caller or to a machine."""

    recording: bool = Field(True, description=_("Record both sides of the call."))
    ambience: Literal["none", "office", "cafe"] = Field(
        "none", description=_("Background sound under the agent.")
    )
    ambience_volume: float = Field(
        0.2, ge=0.0, le=1.0, description=_("0 is silent, 1 as loud as the voice.")
    )
    idle_messages: tuple[Annotated[str, MaxLen(300)], ...] = Field(
        (), max_length=10, description=_("Said in turn to a silent caller. Empty: the usual ones.")
    )
    voicemail: Literal["hang_up", "leave_message"] = Field(
        "hang_up", description=_("What to do when a machine answers a call of ours.")
    )
    voicemail_message: str = Field(
        "", max_length=600, description=_("Said after the beep, if a message is to be left.")
    )

    verdict_first: bool = Field(
        False,
        description=_(
            "Speak only once it is known whether a person answered. A machine hears nothing but "
            "its message; a person waits for some seconds."
        ),
    )

    @model_validator(mode="after")
    def _a_message_to_leave(self) -> AdvancedSettings:
        if self.voicemail == "leave_message" and not self.voicemail_message:
            raise ValueError(gettext("voicemail_message is empty; there is nothing to leave"))
        return self


class ChannelProfile(Settings):
    """Everything one channel needs to know about an agent version."""

    model: ModelSettings = Field(default_factory=ModelSettings, title=_("Model"))
    voice: VoiceSettings = Field(default_factory=VoiceSettings, title=_("Voice"))
    transcriber: TranscriberSettings = Field(
        default_factory=TranscriberSettings, title=_("Transcriber")
    )
    relay: RelaySettings = Field(default_factory=RelaySettings, title=_("Twilio's own speech"))
    functions: FunctionSettings = Field(default_factory=FunctionSettings, title=_("Functions"))
    advanced: AdvancedSettings = Field(default_factory=AdvancedSettings, title=_("Advanced"))


def default_profile(language: Language) -> ChannelProfile:
    """The profile of a new version: all defaults, in the language's usual dialect."""
    dialect = DEFAULT_DIALECT[language]
    return ChannelProfile(
        voice=VoiceSettings(dialect=dialect), transcriber=TranscriberSettings(languages=(dialect,))
    )


# --- reading, with reasons ----------------------------------------------------------------


class InvalidProfile(ValueError):
    """A profile holds values that are not allowed; `problems` lists every one of them."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


def parse_profile(data: Mapping[str, Any], channel: Channel | None = None) -> ChannelProfile:
    """Read stored or typed settings; raise InvalidProfile with every fault at once.

    Without a channel only what every channel can do is allowed.
    """
    try:
        return ChannelProfile.model_validate(data, context={"channel": channel})
    except ValidationError as error:
        raise InvalidProfile([refusal(each, ChannelProfile) for each in error.errors()]) from None


def parse_profiles(data: Mapping[str, Any]) -> dict[Channel, ChannelProfile]:
    """One profile for every channel; raise InvalidProfile for a fault, a gap or an extra one."""
    problems = [
        Problem(
            name,
            gettext("%(name)s is no channel; channels are %(channels)s")
            % {"name": repr(name), "channels": ", ".join(CHANNELS)},
        )
        for name in data
        if name not in CHANNELS
    ]
    profiles: dict[Channel, ChannelProfile] = {}
    for channel in CHANNELS:
        try:
            profiles[channel] = parse_profile(data.get(channel, {}), channel)
        except InvalidProfile as error:
            problems += [
                Problem(f"{channel}.{p.path}", f"{channel}: {p.message}") for p in error.problems
            ]
    if problems:
        raise InvalidProfile(problems)
    return profiles
