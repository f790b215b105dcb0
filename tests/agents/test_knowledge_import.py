"""Reading knowledge from files: all or nothing, with every fault by its line."""

import pytest

from agents.errors import KnowledgeFileError, VersionIsImmutable
from agents.models import KnowledgeEntry
from agents.services import knowledge_import

CSV = """question,answer,tags,phrasings,collect
How much is it?,Ninety dollars.,"price, cost",what does it cost|price please,
Can I book?,Of course.,booking,,"name, phone"
"""
YAML = """
- question: ¿Aceptan tarjeta?
  answer: Sí, todas.
  tags: [pago, tarjeta]
- question: ¿Cuánto cuesta?
  answer: Doscientos pesos.
"""


def problems(draft, owner, text, file_format="csv"):
    with pytest.raises(KnowledgeFileError) as caught:
        knowledge_import(version=draft, actor=owner, text=text, file_format=file_format)
    return caught.value.problems


def test_csv_rows_become_entries_with_their_lists(draft, owner):
    result = knowledge_import(version=draft, actor=owner, text=CSV, file_format="csv")
    assert (result.created, result.updated) == (2, 0)
    price = KnowledgeEntry.objects.get(question="How much is it?")
    assert price.tags == ["price", "cost"]
    assert price.phrasings == "what does it cost\nprice please"
    assert KnowledgeEntry.objects.get(question="Can I book?").collect == ["name", "phone"]


def test_a_question_that_is_there_already_is_replaced(draft, owner):
    result = knowledge_import(version=draft, actor=owner, text=YAML, file_format="yaml")
    assert (result.created, result.updated) == (1, 1)
    assert KnowledgeEntry.objects.get(question="¿Cuánto cuesta?").answer == "Doscientos pesos."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("question,answer\nHow?,\n", (2, "answer is missing")),
        ("question,answer\na,b\na,c\n", (3, "question is the same as in line 2")),
        ("question,answer,colour\na,b,red\n", (2, "'colour' is no column; columns are question")),
        ("question,answer\na,b,c\n", (2, "more cells than columns")),
        ('question,answer\n"a,b\n', (2, "unexpected end of data")),
        ("question,answer,language\na,b,fr\n", (2, "language: ")),
        ("question,answer,language\na,b,en\n", (2, "this version speaks es")),
        ("question,answer,collect\na,b,shoe\n", (2, "'shoe' cannot be asked for; known are name")),
        ("question,answer\n", (1, "the file holds no rows")),
        (f"question,answer\n{'x' * 301},b\n", (2, "at most 300 characters")),
    ],
)
def test_a_faulty_csv_line_is_named_with_its_reason(text, expected, draft, owner):
    found = problems(draft, owner, text)
    assert found[0][0] == expected[0]
    assert expected[1] in found[0][1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("question: a\n", (1, "the file must be a list of entries")),
        ("- question: a\n  answer: [b\n", (3, "not YAML")),
        ("\n- question: a\n  answer: b\n- just text\n", (4, "not an entry")),
        ("- question: !!python/object:os.system a\n  answer: b\n", (1, "not YAML: could not")),
    ],
)
def test_a_faulty_yaml_entry_is_named_with_its_reason(text, expected, draft, owner):
    found = problems(draft, owner, text, "yaml")
    assert found[0][0] == expected[0]
    assert expected[1] in found[0][1]


def test_every_fault_is_reported_and_nothing_is_stored(draft, owner):
    text = "question,answer\ngood,yes\nbad,\nworse,\n"
    assert [line for line, _ in problems(draft, owner, text)] == [3, 4]
    assert not KnowledgeEntry.objects.filter(question="good").exists()


def test_a_published_version_takes_no_file(published, owner):
    with pytest.raises(VersionIsImmutable):
        knowledge_import(version=published, actor=owner, text=CSV, file_format="csv")
