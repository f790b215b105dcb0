"""Channel profiles: typed settings that refuse a bad value with its name and range."""

import dataclasses

import pytest
from django.utils import translation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.profiles import (
    CHANNELS,
    ChannelProfile,
    InvalidProfile,
    TurnSettings,
    default_profile,
    parse_profile,
    parse_profiles,
)


def problems(data):
    with pytest.raises(InvalidProfile) as caught:
        parse_profile(data)
    return {p.path: p.message for p in caught.value.problems}


def test_turn_settings_have_the_names_and_defaults_of_the_loop():
    from calls.voice import TurnOptions

    loop = {
        f.name: f.default_factory() if f.default is dataclasses.MISSING else f.default
        for f in dataclasses.fields(TurnOptions)
    }
    assert TurnSettings().model_dump() == loop


def test_turn_settings_can_be_given_to_the_loop():
    from calls.voice import TurnOptions

    settings = TurnSettings(endpointing_min=200, backchannels=("ajá",))
    options = TurnOptions(**settings.model_dump())
    assert (options.endpointing_min, tuple(options.backchannels)) == (200, ("ajá",))


@pytest.mark.parametrize(
    ("data", "path", "message"),
    [
        (
            {"transcriber": {"turns": {"vad_threshold": 1.5}}},
            "transcriber.turns.vad_threshold",
            "vad_threshold is 1.5; allowed is 0.05 to 0.95",
        ),
        (
            {"advanced": {"ambience": "beach"}},
            "advanced.ambience",
            "ambience is 'beach'; allowed is none, office or cafe",
        ),
        (
            {"model": {"max_tokens": "many"}},
            "model.max_tokens",
            "max_tokens is 'many'; allowed is a whole number, 32 to 4096",
        ),
        (
            {"functions": {"hang_up": "perhaps"}},
            "functions.hang_up",
            "hang_up is 'perhaps'; allowed is true or false",
        ),
        (
            {"functions": {"transfer_targets": [{"name": "Sales", "number": "12"}]}},
            "functions.transfer_targets.0.number",
            "number: '12' is not an international number such as +525512345678",
        ),
        (
            {"functions": {"transfer_targets": [{"name": "Sales", "number": "+5212"}]}},
            "functions.transfer_targets.0.number",
            "number: '+5212' is not a number that exists in its country's plan",
        ),
        (
            {"functions": {"transfer_targets": [{"name": "Sales", "number": "+19005550101"}]}},
            "functions.transfer_targets.0.number",
            "number: '+19005550101' is a premium-rate number, to which nobody is put through",
        ),
        (
            {"functions": {"transfer_targets": [{"name": "Sales"}]}},
            "functions.transfer_targets.0.number",
            "number is missing",
        ),
        ({"voice": {"colour": "red"}}, "voice.colour", "'colour' is not a setting"),
        (
            {"voice": {"lexicon": {"Spirit": " "}}},
            "voice.lexicon",
            "lexicon: 'Spirit' = '': both sides need a text",
        ),
        (
            {"voice": {"provider": "azure", "fallbacks": ["groq", "azure"]}},
            "voice.fallbacks",
            "fallbacks: 'azure' is the chosen one; it needs no second place",
        ),
        (
            {"transcriber": {"provider": "azure", "fallbacks": ["groq", "groq"]}},
            "transcriber.fallbacks",
            "fallbacks: 'groq' is there twice",
        ),
        (
            {"voice": {"fallbacks": ["festival"]}},
            "voice.fallbacks.0",
            "fallbacks is 'festival'; allowed is azure, elevenlabs, openai or groq",
        ),
        (
            {"model": {"model": "a", "fallbacks": ["b", "a"]}},
            "model.fallbacks",
            "fallbacks: 'a' is the chosen one; it needs no second place",
        ),
        (
            {"voice": {"voices": {"fr-FR": "x"}}},
            "voice.voices.fr-FR.[key]",
            "voices is 'fr-FR'; allowed is es-ES, es-MX, es-AR, es-CL, es-CO, es-PE, en-US, "
            "en-GB, en-AU, en-CA or en-IE",
        ),
        (
            {"advanced": {"idle_messages": 3}},
            "advanced.idle_messages",
            "idle_messages: a list is needed",
        ),
        (
            {"voice": 3},
            "voice",
            "voice: a group of settings is needed",
        ),
        (
            {"transcriber": {"languages": ["de-DE"]}},
            "transcriber.languages.0",
            "languages is 'de-DE'; allowed is es-ES, es-MX, es-AR, es-CL, es-CO, es-PE, en-US, "
            "en-GB, en-AU, en-CA or en-IE",
        ),
    ],
)
def test_a_bad_value_is_refused_by_name_value_and_range(data, path, message):
    assert problems(data) == {path: message}


def test_every_fault_is_reported_at_once():
    data = {"model": {"temperature": 3}, "voice": {"speed": 9}}
    assert set(problems(data)) == {"model.temperature", "voice.speed"}


def test_endpointing_min_may_not_exceed_max():
    data = {"transcriber": {"turns": {"endpointing_min": 3000}}}
    assert "endpointing_min is 3000; it may not exceed endpointing_max, which is 2500" in str(
        problems(data)
    )


def test_two_targets_of_one_name_are_refused():
    sales = {"name": "Sales", "number": "+525555123456"}
    data = {"functions": {"transfer_targets": [sales, sales | {"name": "SALES"}]}}
    assert "'SALES' is there twice" in str(problems(data))


def test_a_number_is_stored_in_its_international_form():
    targets = [{"name": "Sales", "number": "+52 (55) 5512-3456"}]
    profile = parse_profile({"functions": {"transfer_targets": targets}})
    assert profile.functions.transfer_targets[0].number == "+525555123456"


def test_an_extension_is_a_target_where_there_is_a_pbx_and_nowhere_else():
    data = {"functions": {"transfer_targets": [{"name": "Sales", "number": "200"}]}}
    profile = parse_profile(data, "threecx")
    assert profile.functions.transfer_targets[0].number == "200"
    assert parse_profile(profile.model_dump(mode="json"), "threecx") == profile
    assert set(parse_profiles({"threecx": data})) == set(CHANNELS)
    for channel in {*CHANNELS, None} - {"threecx"}:
        with pytest.raises(InvalidProfile, match="'200' is not an international number"):
            parse_profile(data, channel)


@pytest.mark.parametrize("number", ["1", "123456789", "20 0", "2a", "200,300", "sip:200", "²00"])
def test_what_is_no_extension_is_refused_at_a_pbx_too(number):
    data = {"functions": {"transfer_targets": [{"name": "Sales", "number": number}]}}
    with pytest.raises(InvalidProfile, match="not an international number"):
        parse_profile(data, "threecx")


def test_profiles_name_the_channel_of_a_fault_and_refuse_an_unknown_channel():
    with pytest.raises(InvalidProfile) as caught:
        parse_profiles({"twilio": {"voice": {"speed": 9}}, "fax": {}})
    assert [p.path for p in caught.value.problems] == ["fax", "twilio.voice.speed"]
    assert "twilio: speed is 9; allowed is 0.5 to 2.0" in str(caught.value)


def test_a_missing_channel_gets_the_defaults():
    assert set(parse_profiles({})) == set(CHANNELS)


def test_a_new_profile_speaks_the_language_s_dialect():
    profile = default_profile("en")
    assert (profile.voice.dialect, profile.transcriber.languages) == ("en-US", ("en-US",))


def test_settings_cannot_be_changed_after_reading():
    with pytest.raises(ValueError, match="frozen"):
        default_profile("es").model.temperature = 1.0


json_like = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from([*ChannelProfile.model_fields, "extra"]),
        st.dictionaries(st.sampled_from(["provider", "turns", "lexicon", "x"]), json_like),
    )
)
def test_whatever_is_typed_either_parses_or_is_refused_with_reasons(data):
    try:
        profile = parse_profile(data)
    except InvalidProfile as error:
        assert all(p.path and p.message for p in error.problems)
    else:
        assert parse_profile(profile.model_dump(mode="json")) == profile


def test_a_profile_that_was_stored_before_there_were_fallbacks_is_valid():
    stored = default_profile("es").model_dump(mode="json")
    for group in ("model", "voice", "transcriber"):
        del stored[group]["fallbacks"]
    assert parse_profile(stored) == default_profile("es")


@pytest.mark.parametrize(
    ("language", "chosen"),
    [
        ("en", ("en-GB", "")),
        ("es", ("es-CO", "es-CO-GonzaloNeural")),
    ],
)
def test_each_language_has_its_voice(language, chosen):
    profile = parse_profile(
        {"voice": {"dialect": "en-GB", "voices": {"es-CO": "es-CO-GonzaloNeural"}}}
    )
    assert profile.voice.in_language(language) == chosen


def test_a_language_without_a_voice_of_its_own_gets_its_usual_dialect():
    assert default_profile("en").voice.in_language("es") == ("es-MX", None)


@pytest.mark.parametrize(
    ("listed", "language", "heard"),
    [
        (["en-GB", "es-AR"], "es", ("es-AR", "en-GB")),
        (["en-GB", "es-AR"], "en", ("en-GB", "es-AR")),
        (["en-GB"], "es", ("es-MX", "en-GB")),
    ],
)
def test_a_call_is_listened_to_in_its_own_language_first(listed, language, heard):
    profile = parse_profile({"transcriber": {"languages": listed}})
    assert profile.transcriber.languages_in(language) == heard


def test_refusals_are_said_in_the_readers_language():
    with translation.override("es"):
        refused = problems({"transcriber": {"turns": {"vad_threshold": 1.5}}, "voice": 3})
    assert refused == {
        "transcriber.turns.vad_threshold": "vad_threshold es 1.5; se permite 0.05 a 0.95",
        "voice": "voice: se necesita un grupo de ajustes",
    }


def test_carrier_speaks_by_itself_only_where_that_is_wished_for():
    assert parse_profile({}).relay.enabled is False
    wishes = {"enabled": True, "voice_provider": "Amazon", "voice": "Mia-Neural"}
    relay = parse_profile({"relay": wishes}).relay
    assert (relay.enabled, relay.voice, relay.transcriber) == (True, "Mia-Neural", "Deepgram")


@pytest.mark.parametrize(
    ("wish", "path"),
    [
        ({"voice_provider": "Acme"}, "relay.voice_provider"),
        ({"transcriber": "Azure"}, "relay.transcriber"),
        ({"voice": "x" * 121}, "relay.voice"),
        ({"enabled": "perhaps"}, "relay.enabled"),
        ({"greeting": "Hola"}, "relay.greeting"),
    ],
)
def test_speech_that_no_carrier_has_is_refused(wish, path):
    with pytest.raises(InvalidProfile) as refused:
        parse_profile({"relay": wish})
    assert [problem.path for problem in refused.value.problems] == [path]
