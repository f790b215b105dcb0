"""Numbers, dates and names as people say them."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.brain.spoken import find_date, find_digits, find_name, find_number, say_date, say_digits
from agents.brain.spoken.fillers import content_words

TODAY = date(2026, 11, 21)  # a Saturday


@pytest.mark.parametrize(
    ("said", "language", "digits"),
    [
        ("five five five one two three four", "en", "5551234"),
        ("five fifty five, twelve", "en", "55512"),
        ("oh one double two triple three", "en", "0122333"),
        ("five hundred and twelve nine hundred", "en", "512900"),
        ("plus fifty two five five", "en", "+5255"),
        ("my number is 555-123 4567", "en", "5551234567"),
        ("+1 (555) 123", "en", "+1555123"),
        ("twenty one twenty", "en", "2120"),
        ("hello there", "en", ""),
        ("cincuenta y cinco doce treinta y cuatro", "es", "551234"),
        ("cero uno doble cinco veintidós", "es", "015522"),
        ("quinientos doce ciento tres", "es", "512103"),
        ("más cincuenta y dos", "es", "+52"),
        ("seis cuatro, veinte y tres", "es", "6423"),
        ("cincuenta cinco", "es", "505"),
    ],
)
def test_dictated_digits(said, language, digits):
    assert find_digits(said, language) == digits


@pytest.mark.parametrize(
    ("said", "language", "number"),
    [
        ("we are twenty five people", "en", 25),
        ("two thousand and six", "en", 2006),
        ("three hundred", "en", 300),
        ("somos treinta y dos", "es", 32),
        ("mil doscientos", "es", 1200),
        ("dos mil veintiséis", "es", 2026),
        ("12 personas", "es", 12),
        ("no idea", "en", None),
    ],
)
def test_spoken_numbers(said, language, number):
    assert find_number(said, language) == number


@given(st.text(alphabet="0123456789", min_size=4, max_size=15))
def test_digits_that_are_read_back_are_the_digits_that_were_given(digits):
    said = say_digits(digits)
    assert said.replace(" ", "").replace(",", "") == digits
    groups = [len(group.split()) for group in said.split(", ")]
    assert all(2 <= size <= 4 for size in groups), said


@pytest.mark.parametrize(
    ("said", "language", "expected"),
    [
        ("today please", "en", date(2026, 11, 21)),
        ("the day after tomorrow", "en", date(2026, 11, 23)),
        ("next friday", "en", date(2026, 11, 27)),
        ("on saturday", "en", date(2026, 11, 28)),
        ("march the fifteenth", "en", date(2027, 3, 15)),
        ("the third of december", "en", date(2026, 12, 3)),
        ("December 3rd", "en", date(2026, 12, 3)),
        ("the twenty first of january", "en", date(2027, 1, 21)),
        ("june fifth twenty twenty seven", "en", date(2027, 6, 5)),
        ("the fifteenth", "en", date(2026, 12, 15)),
        ("in two weeks", "en", date(2026, 12, 5)),
        ("in a week", "en", date(2026, 11, 28)),
        ("12/24", "en", date(2026, 12, 24)),
        ("2027-02-28", "en", date(2027, 2, 28)),
        ("february thirtieth", "en", None),
        ("whenever you like", "en", None),
        ("mañana por la mañana", "es", date(2026, 11, 22)),
        ("por la mañana", "es", None),
        ("pasado mañana", "es", date(2026, 11, 23)),
        ("el próximo miércoles", "es", date(2026, 11, 25)),
        ("el quince de marzo", "es", date(2027, 3, 15)),
        ("primero de diciembre", "es", date(2026, 12, 1)),
        ("el 24 de diciembre de 2026", "es", date(2026, 12, 24)),
        ("el veintiuno de enero", "es", date(2027, 1, 21)),
        ("el treinta y uno de diciembre", "es", date(2026, 12, 31)),
        ("el día quince", "es", date(2026, 12, 15)),
        ("dentro de tres días", "es", date(2026, 11, 24)),
        ("24/12", "es", date(2026, 12, 24)),
        ("no sé todavía", "es", None),
    ],
)
def test_spoken_dates(said, language, expected):
    assert find_date(said, language, TODAY) == expected


def test_dates_are_read_aloud_in_the_caller_s_language():
    assert say_date(date(2027, 3, 5), "es-MX") == "viernes 5 de marzo"
    assert say_date(date(2027, 3, 5), "en-US") == "Friday, March 5"


@pytest.mark.parametrize(
    ("said", "language", "name"),
    [
        ("my name is anna miller", "en", "Anna Miller"),
        ("it's Peter O'Neill, please", "en", "Peter O'Neill"),
        ("john", "en", "John"),
        ("this is Ludwig van Beethoven", "en", "Ludwig van Beethoven"),
        ("what should i bring", "en", None),
        ("my number is 555", "en", None),
        ("yes", "en", None),
        ("", "en", None),
        ("me llamo José Luis Pérez", "es", "José Luis Pérez"),
        ("a nombre de maría de la cruz", "es", "María de la Cruz"),
        ("soy Íñigo", "es", "Íñigo"),
        ("MARÍA", "es", "María"),
        ("cuánto cuesta", "es", None),
        ("no sé", "es", None),
    ],
)
def test_spoken_names(said, language, name):
    assert find_name(said, language) == name


@pytest.mark.parametrize(
    ("said", "language", "content"),
    [
        ("can i book for next friday for four people", "en", ["book"]),
        ("on friday for two", "en", ["friday"]),
        ("Hola, ¿me podría decir cuánto cuesta?", "es", ["cuanto", "cuesta"]),
    ],
)
def test_content_words_are_what_a_question_is_about(said, language, content):
    assert content_words(said, language) == content


@given(st.text(max_size=60), st.sampled_from(["es", "en"]))
def test_whatever_is_said_is_read_without_an_error(said, language):
    find_date(said, language, TODAY)
    find_digits(said, language)
    find_name(said, language)
    find_number(said, language)
