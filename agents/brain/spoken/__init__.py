"""Numbers, dates, times and names as people say them, in Spanish and English."""

from agents.brain.spoken.dates import find_date, say_date
from agents.brain.spoken.names import find_name
from agents.brain.spoken.numbers import find_digits, find_number, say_digits
from agents.brain.spoken.text import plain, words
from agents.brain.spoken.times import find_time, say_time

__all__ = [
    "find_date",
    "find_digits",
    "find_name",
    "find_number",
    "find_time",
    "plain",
    "say_date",
    "say_digits",
    "say_time",
    "words",
]
