"""`config/bootstrap.py` under stand-in interpreters and indexes: one clear line for each fault."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with nothing installed."""
    (tmp_path / "config").mkdir()
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt", "config/bootstrap.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def make(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments], cwd=project, text=True, capture_output=True, check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(project), **environment},
    )  # fmt: skip


def pretending(project: Path, name: str, statement: str) -> Path:
    """An interpreter that differs from this one by a statement run first."""
    path = project / name
    code = f"import sys, runpy; {statement}; sys.argv = sys.argv[1:]; sys.path.insert(0, 'config')"
    run = "runpy.run_path(sys.argv[0], run_name='__main__')"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}; {run}" "$@"\n')
    path.chmod(0o755)
    return path


def said(result: subprocess.CompletedProcess[str]) -> list[str]:
    """What the user reads, without make's own last line."""
    return [line for line in result.stderr.splitlines() if not line.startswith("make: ")]


def test_an_unfit_python_is_named_with_a_way_out(project):
    python = pretending(
        project, "python3.10", "sys.version_info = (3, 10, 13); sys.version = '3.10.13'"
    )
    result = make(project, ".venv/.run", f"PYTHON={python}")
    assert result.returncode != 0
    assert said(result) == [
        "Andrea needs Python 3.11, 3.12 or 3.13; this is 3.10.13. "
        "Name another one: make PYTHON=/path/to/python3.12"
    ]


def test_a_machine_without_a_fit_python_is_told_so(project):
    result = make(project, ".venv/.run", "PYTHON=")
    assert result.returncode != 0
    assert len(said(result)) == 1
    assert said(result)[0].startswith("Andrea needs Python 3.11, 3.12 or 3.13, and found ")


def test_debians_missing_venv_package_is_named(project):
    python = pretending(project, "python3.11", "sys.modules['ensurepip'] = None")
    result = make(project, ".venv/.run", f"PYTHON={python}")
    assert result.returncode != 0
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    assert said(result)[-1] == (
        f"This Python lacks its venv module. On Debian and Ubuntu: sudo apt install {package}"
    )


def test_an_index_that_cannot_be_reached_is_told_in_one_line(project):
    result = make(
        project, ".venv/.run", f"PYTHON={sys.executable}",
        PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="0", PIP_NO_CACHE_DIR="1",
        PIP_CONFIG_FILE=os.devnull,
    )  # fmt: skip
    assert result.returncode != 0
    assert said(result)[-1] == (
        "Could not install uv: the package index cannot be reached. "
        "Check the network or PIP_INDEX_URL (details: .venv/install.log)."
    )
    assert not (project / ".venv" / ".run").exists(), "the next try starts again"


def test_nothing_is_installed_again_while_the_requirements_are_the_same():
    stamp = ROOT / ".venv" / ".dev"
    if not stamp.exists():
        pytest.skip("this environment was not made by make")
    newest = max(
        (ROOT / name).stat().st_mtime
        for name in ("requirements.txt", "requirements-dev.txt", "config/bootstrap.py")
    )
    up_to_date = subprocess.run(["make", "-q", ".venv/.dev"], cwd=ROOT, check=False).returncode == 0
    assert up_to_date == (stamp.stat().st_mtime >= newest)
