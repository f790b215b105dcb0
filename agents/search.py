"""Searching a version's knowledge: what was asked, against what is known.

One statement finds the entries. Every content word of the question counts by how rare it is in
this knowledge (inverse document frequency), and by where it was found: in a question or its
phrasings, in a tag, or only in an answer. A word that is found nowhere is compared by trigrams,
since it may have been misheard or misspelt; if it resembles nothing it weighs against every
entry, which keeps the agent from answering what it was not asked. The entries that cover most
are then compared as a whole with each way to ask them that was written down.

The score is 0 to 1; `agents.brain.knowledge` holds the thresholds, tuned on the labelled
questions of tests/agents/test_knowledge_search.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.db import connection

from agents.brain.knowledge import Found
from agents.brain.spoken.fillers import content_words
from agents.brain.spoken.text import plain
from tenants.db import run_in_tenant

MAX_WORDS = 24
MAX_CHARACTERS = 500
_SQL = """
WITH said AS MATERIALIZED (
    SELECT ordinal, word, agents_words(%(language)s, accented) AS lexemes,
           agents_trigrams(word) AS trigrams
    FROM unnest(%(words)s::text[], %(accented)s::text[])
         WITH ORDINALITY AS said(word, accented, ordinal)
), asked AS MATERIALIZED (
    SELECT ordinal, trigrams,
           array_to_string(array(SELECT quote_literal(lexeme) || ':ABD'
               FROM unnest(tsvector_to_array(lexemes)) AS lexeme), ' | ')::tsquery AS anywhere,
           array_to_string(array(SELECT quote_literal(lexeme) || ':A'
               FROM unnest(tsvector_to_array(lexemes)) AS lexeme), ' | ')::tsquery AS question,
           array_to_string(array(SELECT quote_literal(lexeme) || ':B'
               FROM unnest(tsvector_to_array(lexemes)) AS lexeme), ' | ')::tsquery AS tag
    FROM said WHERE lexemes <> ''::tsvector
), known AS MATERIALIZED (
    SELECT id, search_vector, trigrams, count(*) OVER () AS total,
           question || ' ' || phrasings || ' ' || array_to_string(tags, ' ') AS asked
    FROM agents_knowledgeentry
    WHERE version_id = %(version)s AND language = %(language)s
), hits AS (
    SELECT asked.ordinal, asked.trigrams AS said, known.id, known.total, known.trigrams,
           known.asked,
           CASE WHEN known.search_vector @@ asked.question THEN 1.0
                WHEN known.search_vector @@ asked.tag THEN 1.0
                WHEN known.search_vector @@ asked.anywhere THEN 0.35
                ELSE 0.0 END AS weight
    FROM asked CROSS JOIN known
), frequencies AS (
    SELECT *, count(*) FILTER (WHERE weight > 0.5) OVER (PARTITION BY ordinal) AS frequency,
           max(weight) OVER (PARTITION BY ordinal) AS best
    FROM hits
), alike AS MATERIALIZED (
    SELECT ordinal, id, max(
        2.0 * (SELECT count(*) FROM unnest(said) AS one WHERE one = ANY (word_trigrams))
        / (cardinality(said) + cardinality(word_trigrams))) AS likeness
    FROM frequencies CROSS JOIN LATERAL (
        SELECT agents_trigrams(word) AS word_trigrams
        FROM regexp_split_to_table(agents_plain(frequencies.asked), '[^a-z0-9ñ]+') AS word
        OFFSET 0
    ) AS words
    WHERE best = 0 AND cardinality(said) >= 6 AND cardinality(said) * 0.6 <= (
        SELECT count(*) FROM unnest(said) AS one WHERE one = ANY (frequencies.trigrams))
    GROUP BY ordinal, id
), weighed AS (
    SELECT id, rarity, weight, max(weight) OVER (PARTITION BY ordinal) AS found
    FROM (
        SELECT frequencies.id, ordinal,
               ln((total + 1) / (greatest(frequency, 1) + 0.5)) AS rarity,
               CASE WHEN likeness >= %(alike)s THEN likeness ELSE weight END AS weight
        FROM frequencies LEFT JOIN alike USING (ordinal, id)
    ) AS rated
), covered AS (
    SELECT known.id, sum(rarity * weight) / nullif(sum(
               rarity * CASE WHEN found > 0 THEN 1.0 ELSE %(unknown)s END), 0) AS coverage
    FROM known LEFT JOIN weighed USING (id)
    GROUP BY known.id
    ORDER BY coverage DESC NULLS LAST
    LIMIT CASE WHEN EXISTS (SELECT FROM asked) THEN 24 END
)
SELECT entry.public_id, entry.question, entry.answer, entry.tags, entry.collect, entry.closing,
       entry.phrasings, covered.coverage
FROM covered JOIN agents_knowledgeentry AS entry USING (id)
"""
COVERAGE_SHARE, LIKENESS_SHARE = 0.8, 0.2
ALIKE = 0.5  # Dice over trigrams from which a word is taken for another one, misspelt
UNKNOWN_SHARE = 0.65  # how much a word that resembles nothing counts against every entry


def search_knowledge(*, version_id: int, language: str, text: str, limit: int = 5) -> list[Found]:
    """The entries that fit best, best first. Runs inside the tenant's context."""
    code = language[:2].lower()
    if not plain(text).strip():
        return []
    words = content_words(text, code)[:MAX_WORDS]
    parameters: dict[str, Any] = {
        "version": version_id,
        "language": code,
        "words": words,
        "accented": _accented(text, words),
        "unknown": UNKNOWN_SHARE,
        "alike": ALIKE,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SQL, parameters)
        rows = cursor.fetchall()
    ways = (trigrams(text[:MAX_CHARACTERS]), trigrams(" ".join(words)))
    found = [_found(ways, *row) for row in rows]
    return sorted(found, key=lambda entry: (-entry.score, entry.question))[:limit]


def _accented(text: str, words: Sequence[str]) -> list[str]:
    """Each plain word as it was written: the Spanish stemmer wants its accents."""
    written = {plain(word): word for word in re.findall(r"[^\W_]+(?:'[a-z]+)?", text.lower())}
    return [written.get(word, word) for word in words]


def _found(
    ways: Sequence[set[str]],
    public_id: object,
    question: str,
    answer: str,
    tags: list[str],
    collect: list[str],
    closing: str,
    phrasings: str,
    coverage: float | None,
) -> Found:
    score = _score(coverage, _likeness(ways, [question, *phrasings.splitlines()]))
    return Found(str(public_id), question, answer, score, tuple(tags), tuple(collect), closing)


def _likeness(ways: Sequence[set[str]], phrasings: Sequence[str]) -> float:
    """How much the whole question resembles the nearest phrasing (Dice over trigrams)."""
    lines = [trigrams(line) for line in phrasings]
    return max(
        2 * len(mine & line) / (len(mine) + len(line) or 1) for mine in ways for line in lines
    )


def trigrams(text: str) -> set[str]:
    """The same as the database's `agents_trigrams`."""
    padded = [f"  {word} " for word in re.findall(r"[a-z0-9ñ]+", plain(text))]
    return {word[i : i + 3] for word in padded for i in range(len(word) - 2)}


def _score(coverage: float | None, likeness: float) -> float:
    """0 to 1. A phrasing word for word is certain, even if no word of it says what it is about."""
    blend = COVERAGE_SHARE * float(coverage or 0.0) + LIKENESS_SHARE * likeness
    return max(blend, likeness**2)


class TenantKnowledge:
    """One version's knowledge as the mind's port, from a coroutine of a call."""

    def __init__(self, *, tenant_id: int, version_id: int) -> None:
        self._tenant_id = tenant_id
        self._version_id = version_id

    async def search(self, text: str, language: str, /) -> Sequence[Found]:
        """Search in the tenant's context, on the bridge's own threads."""
        return await run_in_tenant(
            self._tenant_id,
            search_knowledge,
            version_id=self._version_id,
            language=language,
            text=text,
        )
