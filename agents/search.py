"""Searching a version's knowledge: what was asked, against what is known.

One statement. Every content word of the question counts by how rare it is in this knowledge
(inverse document frequency), and by where it was found: in a question or its phrasings, in a
tag, or only in an answer. A word that is found nowhere is compared by trigrams, since it may
have been misheard or misspelt; if it resembles nothing it weighs against every entry, which
keeps the agent from answering what it was not asked. The entries that cover most are then
compared with their phrasings as a whole.

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
_SQL = """
WITH said AS (
    SELECT ordinal, word, agents_words(%(language)s, accented) AS lexemes,
           agents_trigrams(word) AS trigrams
    FROM unnest(%(words)s::text[], %(accented)s::text[])
         WITH ORDINALITY AS said(word, accented, ordinal)
), asked AS (
    SELECT ordinal, trigrams,
           array_to_string(array(SELECT quote_literal(lexeme) || ':ABD'
               FROM unnest(tsvector_to_array(lexemes)) AS lexeme), ' | ')::tsquery AS anywhere,
           array_to_string(array(SELECT quote_literal(lexeme) || ':A'
               FROM unnest(tsvector_to_array(lexemes)) AS lexeme), ' | ')::tsquery AS question,
           array_to_string(array(SELECT quote_literal(lexeme) || ':B'
               FROM unnest(tsvector_to_array(lexemes)) AS lexeme), ' | ')::tsquery AS tag
    FROM said WHERE lexemes <> ''::tsvector
), known AS (
    SELECT id, search_vector, trigrams, count(*) OVER () AS total
    FROM agents_knowledgeentry
    WHERE version_id = %(version)s AND language = %(language)s
), hits AS (
    SELECT asked.ordinal, asked.trigrams AS said, known.id, known.total, known.trigrams,
           CASE WHEN known.search_vector @@ asked.question THEN 1.0
                WHEN known.search_vector @@ asked.tag THEN 1.0
                WHEN known.search_vector @@ asked.anywhere THEN 0.35
                ELSE 0.0 END AS weight
    FROM asked CROSS JOIN known
), frequencies AS (
    SELECT *, count(*) FILTER (WHERE weight > 0.5) OVER (PARTITION BY ordinal) AS frequency,
           max(weight) OVER (PARTITION BY ordinal) AS best
    FROM hits
), weighed AS (
    SELECT id, ln((total + 1) / (least(frequency, total) + 0.5)) AS rarity,
           CASE WHEN best > 0 THEN weight
                WHEN cardinality(said) < 5 THEN 0.0
                ELSE alike.share * (alike.share >= 0.6)::int * 0.8 END AS weight
    FROM frequencies CROSS JOIN LATERAL (
        SELECT CASE WHEN best > 0 THEN 0.0 ELSE (
            SELECT count(*)::float FROM unnest(said) AS one WHERE one = ANY (frequencies.trigrams)
        ) / greatest(cardinality(said), 1) END AS share
    ) AS alike
), covered AS (
    SELECT id, sum(rarity * weight) / nullif(sum(rarity), 0) AS coverage
    FROM weighed GROUP BY id
    ORDER BY coverage DESC NULLS LAST LIMIT 12
)
SELECT entry.public_id, entry.question, entry.answer, entry.tags, entry.collect, entry.closing,
       covered.coverage, likeness.best
FROM covered
JOIN agents_knowledgeentry AS entry USING (id)
CROSS JOIN LATERAL (
    SELECT max(2.0 * common / nullif(cardinality(line_trigrams) + cardinality(mine), 0)) AS best
    FROM (
        SELECT agents_trigrams(line) AS line_trigrams, agents_trigrams(%(content)s) AS mine
        FROM regexp_split_to_table(entry.question || E'\\n' || entry.phrasings, '\\n') AS line
    ) AS lines
    CROSS JOIN LATERAL (
        SELECT count(*) AS common FROM unnest(mine) AS one WHERE one = ANY (line_trigrams)
    ) AS shared
) AS likeness
WHERE covered.coverage > 0
"""
COVERAGE_SHARE, LIKENESS_SHARE = 0.8, 0.2


def search_knowledge(*, version_id: int, language: str, text: str, limit: int = 5) -> list[Found]:
    """The entries that fit best, best first. Runs inside the tenant's context."""
    code = language[:2].lower()
    words = content_words(text, code)[:MAX_WORDS]
    if not words:
        return []
    parameters: dict[str, Any] = {
        "version": version_id,
        "language": code,
        "words": words,
        "accented": _accented(text, words),
        "content": " ".join(words),
    }
    with connection.cursor() as cursor:
        cursor.execute(_SQL, parameters)
        found = [_found(*row) for row in cursor.fetchall()]
    return sorted(found, key=lambda entry: (-entry.score, entry.question))[:limit]


def _accented(text: str, words: Sequence[str]) -> list[str]:
    """Each plain word as it was written: the Spanish stemmer wants its accents."""
    written = {plain(word): word for word in re.findall(r"[^\W_]+(?:'[a-z]+)?", text.lower())}
    return [written.get(word, word) for word in words]


def _found(
    public_id: object,
    question: str,
    answer: str,
    tags: list[str],
    collect: list[str],
    closing: str,
    coverage: float,
    likeness: float,
) -> Found:
    score = COVERAGE_SHARE * float(coverage) + LIKENESS_SHARE * float(likeness or 0.0)
    return Found(str(public_id), question, answer, score, tuple(tags), tuple(collect), closing)


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
