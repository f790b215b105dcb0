"""The rules of the house that no linter knows, checked on the syntax trees of our own code.

Each rule is a function over one file that yields what is wrong and where. The rules themselves
are tested at the end, on code that breaks them.
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("agents", "bench", "calls", "config", "crm", "dashboard", "tenants", "tests")
LONGEST_FILE, LONGEST_FUNCTION = 500, 40
PURE = ("calls/voice/", "agents/brain/", "calls/providers/")
FRAMEWORKS = {"django", "channels", "celery", "rest_framework", "daphne", "unfold", "allauth"}
GONE_MODULES = {"audioop", "imp", "cgi", "telnetlib", "pipes", "asyncore"}
BLOCKING_CALLS = {
    "time.sleep", "requests.get", "requests.post", "subprocess.run", "subprocess.check_output",
    "urllib.request.urlopen", "socket.create_connection", "open",
}  # fmt: skip
ORM_METHODS = {
    "aget", "acreate", "afirst", "alast", "acount", "aexists", "aupdate", "adelete", "asave",
    "aget_or_create", "aupdate_or_create", "abulk_create", "abulk_update", "aaggregate",
    "arefresh_from_db", "aiterator",
}  # fmt: skip
TODO = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
FORBIDDEN_ID_FIELDS = {"id", "pk"}


@dataclass(frozen=True)
class Source:
    """One file of ours. `name` is its path from the project's folder, with slashes."""

    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.name)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All of the tree, found once for all rules."""
        return list(ast.walk(self.tree))

    @property
    def is_test(self) -> bool:
        return self.name.startswith(("tests/", "bench/"))


Rule = Callable[[Source], Iterator[str]]


@cache
def sources() -> list[Source]:
    paths = [ROOT / "manage.py"]
    for package in PACKAGES:
        paths += sorted((ROOT / package).rglob("*.py"))
    return [
        Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for path in paths
        if "migrations" not in path.parts
    ]


def dotted(node: ast.expr) -> str:
    """`a.b.c` of an attribute chain, empty for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def imported(source: Source) -> Iterator[tuple[int, str]]:
    for node in source.nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.lineno, node.module


def functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def own_nodes(function: ast.AsyncFunctionDef) -> Iterator[ast.AST]:
    """What runs in the coroutine itself: not what its nested functions do."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        yield node
        waiting.extend(ast.iter_child_nodes(node))


def files_are_short(source: Source) -> Iterator[str]:
    lines = source.text.count("\n")
    if lines > LONGEST_FILE:
        yield f"{source.name}: {lines} lines; {LONGEST_FILE} are enough for one file"


def functions_are_short(source: Source) -> Iterator[str]:
    for function in functions(source):
        assert function.end_lineno is not None
        length = function.end_lineno - function.lineno + 1
        if length > LONGEST_FUNCTION:
            yield f"{source.name}:{function.lineno}: {function.name} has {length} lines"


def no_module_is_gone_from_python_3_13(source: Source) -> Iterator[str]:
    for line, module in imported(source):
        if module.split(".")[0] in GONE_MODULES:
            yield f"{source.name}:{line}: {module} is gone from Python 3.13"


def coroutines_do_not_block(source: Source) -> Iterator[str]:
    for function in functions(source):
        if not isinstance(function, ast.AsyncFunctionDef):
            continue
        for node in own_nodes(function):
            if isinstance(node, ast.Call) and dotted(node.func) in BLOCKING_CALLS:
                yield f"{source.name}:{node.lineno}: {dotted(node.func)} blocks the event loop"


def coroutines_reach_the_orm_through_tenants_db_only(source: Source) -> Iterator[str]:
    if source.is_test or source.name == "tenants/db.py":
        return
    for function in functions(source):
        if not isinstance(function, ast.AsyncFunctionDef):
            continue
        for node in own_nodes(function):
            if isinstance(node, ast.Attribute) and _is_orm(node):
                yield f"{source.name}:{node.lineno}: ORM in a coroutine; use tenants.db"


def _is_orm(node: ast.Attribute) -> bool:
    return node.attr in ORM_METHODS or (node.attr == "objects" and dotted(node)[:1].isupper())


def only_commands_print(source: Source) -> Iterator[str]:
    if source.is_test or "/management/commands/" in source.name:
        return
    for node in source.nodes:
        if isinstance(node, ast.Call) and dotted(node.func) in {"print", "pprint", "breakpoint"}:
            yield f"{source.name}:{node.lineno}: {dotted(node.func)}"


def nothing_is_left_to_do(source: Source) -> Iterator[str]:
    if source.name == "tests/config/test_house_rules.py":
        return
    if not TODO.search(source.text):
        return
    lines = iter(source.text.splitlines(keepends=True))
    for token in tokenize.generate_tokens(lambda: next(lines, "")):
        if token.type == tokenize.COMMENT and TODO.search(token.string):
            yield f"{source.name}:{token.start[0]}: {token.string.strip()}"


def no_function_is_a_stub(source: Source) -> Iterator[str]:
    """A class may leave a method to its heirs, and a docstring may say that nothing is done."""
    if source.is_test:
        return
    for node in source.tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_unwritten(
            node.body[-1]
        ):
            yield f"{source.name}:{node.lineno}: {node.name} is not written yet"


def _is_unwritten(last: ast.stmt) -> bool:
    if isinstance(last, ast.Raise) and last.exc is not None:
        raised = last.exc.func if isinstance(last.exc, ast.Call) else last.exc
        return dotted(raised) == "NotImplementedError"
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Constant):
        return last.value.value is Ellipsis
    return isinstance(last, ast.Pass)


def pure_packages_know_no_framework(source: Source) -> Iterator[str]:
    if not source.name.startswith(PURE):
        return
    for line, module in imported(source):
        if module.split(".")[0] in FRAMEWORKS:
            yield f"{source.name}:{line}: {module} in a pure package"


def integer_ids_stay_in_the_database(source: Source) -> Iterator[str]:
    """No `<int:…>` in a route, no `id` or `pk` among a serializer's fields."""
    for node in source.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if "urls" in Path(source.name).stem and "<int:" in node.value:
                yield f"{source.name}:{node.lineno}: integer in the route {node.value!r}"
        elif isinstance(node, ast.ClassDef) and node.name.endswith("Serializer"):
            yield from _serializer_ids(source, node)


def _serializer_ids(source: Source, serializer: ast.ClassDef) -> Iterator[str]:
    """A field `id` is fine where the class says that it is the public one."""
    declared = {
        dotted(node.targets[0])
        for node in serializer.body
        if isinstance(node, ast.Assign) and "public_id" in ast.dump(node.value)
    }
    for node in ast.walk(serializer):
        if not (isinstance(node, ast.Assign) and dotted(node.targets[0]) == "fields"):
            continue
        names = {str(item.value) for item in ast.walk(node.value) if isinstance(item, ast.Constant)}
        if "__all__" in names or (FORBIDDEN_ID_FIELDS & names) - declared:
            yield f"{source.name}:{node.lineno}: {serializer.name} shows an integer id"


def signals_carry_no_rules(source: Source) -> Iterator[str]:
    """`post_save` and its kin hide what a write does; services say it."""
    for line, module in imported(source):
        if module == "django.db.models.signals":
            yield f"{source.name}:{line}: a service says what a write does, a signal hides it"


def environment_is_read_in_one_place(source: Source) -> Iterator[str]:
    if source.is_test or source.name.startswith("config/") or source.name == "manage.py":
        return
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and dotted(node) in {"os.environ", "os.getenv"}:
            yield f"{source.name}:{node.lineno}: the environment is read in config/settings/env.py"


def flat_tests_only(source: Source) -> Iterator[str]:
    """Functions named for behaviour, not classes that hold them."""
    if not Path(source.name).name.startswith("test_"):
        return
    for node in source.tree.body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield f"{source.name}:{node.lineno}: tests are flat functions"


RULES: list[Rule] = [
    files_are_short,
    functions_are_short,
    no_module_is_gone_from_python_3_13,
    coroutines_do_not_block,
    coroutines_reach_the_orm_through_tenants_db_only,
    only_commands_print,
    nothing_is_left_to_do,
    no_function_is_a_stub,
    pure_packages_know_no_framework,
    integer_ids_stay_in_the_database,
    signals_carry_no_rules,
    environment_is_read_in_one_place,
    flat_tests_only,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_its_rule(rule):
    faults = [fault for source in sources() for fault in rule(source)]
    assert not faults, "\n" + "\n".join(faults)


BROKEN: list[tuple[Rule, str, str]] = [
    (files_are_short, "a.py", "x = 1\n" * 501),
    (functions_are_short, "a.py", "def f():\n" + "    x = 1\n" * 40),
    (no_module_is_gone_from_python_3_13, "a.py", "import audioop"),
    (coroutines_do_not_block, "a.py", "async def f():\n    time.sleep(1)"),
    (coroutines_do_not_block, "a.py", "async def f():\n    with open('x') as file: pass"),
    (
        coroutines_reach_the_orm_through_tenants_db_only,
        "calls/a.py",
        "async def f():\n    return Call.objects.first()",
    ),
    (
        coroutines_reach_the_orm_through_tenants_db_only,
        "calls/a.py",
        "async def f(queryset):\n    return await queryset.aget()",
    ),
    (only_commands_print, "calls/a.py", "print('x')"),
    (nothing_is_left_to_do, "a.py", "x = 1  # TODO: later"),
    (no_function_is_a_stub, "a.py", "def f():\n    raise NotImplementedError"),
    (no_function_is_a_stub, "a.py", "async def f():\n    ..."),
    (no_function_is_a_stub, "a.py", "def f():\n    pass"),
    (pure_packages_know_no_framework, "calls/voice/a.py", "from django.conf import settings"),
    (integer_ids_stay_in_the_database, "calls/urls.py", "path('calls/<int:pk>/')"),
    (
        integer_ids_stay_in_the_database,
        "calls/api/a.py",
        "class CallSerializer:\n    class Meta:\n        fields = ('id', 'state')",
    ),
    (
        integer_ids_stay_in_the_database,
        "calls/api/a.py",
        "class CallSerializer:\n    class Meta:\n        fields = '__all__'",
    ),
    (signals_carry_no_rules, "a.py", "from django.db.models.signals import post_save"),
    (environment_is_read_in_one_place, "calls/a.py", "import os\nx = os.environ['KEY']"),
    (flat_tests_only, "tests/test_a.py", "class TestThings:\n    pass"),
]


@pytest.mark.parametrize(
    ("rule", "name", "code"), BROKEN, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_rule_finds_what_breaks_it(rule, name, code):
    assert list(rule(Source(name, code)))


def test_every_rule_is_seen_to_fail():
    assert {rule for rule, _, _ in BROKEN} == set(RULES)


FINE: list[tuple[Rule, str, str]] = [
    (coroutines_do_not_block, "a.py", "async def f():\n    await asyncio.sleep(1)"),
    (
        coroutines_do_not_block,
        "a.py",
        "async def f():\n    def g():\n        time.sleep(1)\n    await run(g)",
    ),
    (
        coroutines_reach_the_orm_through_tenants_db_only,
        "calls/a.py",
        "async def f():\n    await run_in_tenant(1, lambda: Call.objects.first())",
    ),
    (only_commands_print, "calls/management/commands/a.py", "print('x')"),
]


@pytest.mark.parametrize(("rule", "name", "code"), FINE)
def test_a_rule_leaves_good_code_alone(rule, name, code):
    assert list(rule(Source(name, code))) == []
