"""Fill `.venv` with the pinned requirements: all that `make` needs before it can do anything.

Runs under the system's Python and imports only the standard library. pip brings uv, and uv
installs the rest from the lock in a few seconds; without uv, pip does it slowly.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOG = VENV / "install.log"
UV = "uv==0.13.8"
OLDEST, NEWEST = (3, 11), (3, 13)
NETWORK_FAULT = re.compile(
    r"dns error|name resolution|failed to lookup|connection (refused|reset|error)|timed? ?out"
    r"|error sending request|failed to fetch|newconnectionerror|network is unreachable"
    r"|could not fetch url|no matching distribution",
    re.IGNORECASE,
)


class BootstrapError(Exception):
    """The environment could not be made; the message says why and what to do."""


def main() -> None:
    """Make the environment hold the named requirements, then touch the stamp."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stamp", type=Path)
    parser.add_argument("--lock", action="store_true", help="compile requirements*.txt instead")
    parser.add_argument("requirements", nargs="*")
    options = parser.parse_args()
    try:
        if options.lock:
            lock()
        else:
            install(options.requirements)
            options.stamp.touch()
    except BootstrapError as error:
        sys.exit(str(error))


def install(requirements: list[str]) -> None:
    """Install the pinned requirements into `.venv`, which is made or mended first."""
    if not (OLDEST <= sys.version_info[:2] <= NEWEST):
        raise BootstrapError(
            f"Andrea needs Python 3.11, 3.12 or 3.13; this is {sys.version.split()[0]}. "
            "Name another one: make PYTHON=/path/to/python3.12"
        )
    ensure_venv()
    say(f"Installing {' and '.join(requirements)} into .venv ...")
    files = [part for name in requirements for part in ("-r", name)]
    run([*installer(), "install", *files], doing="install the requirements")


def ensure_venv() -> None:
    """Create `.venv`; one that is broken or of an unsupported Python is made anew."""
    version = venv_version()
    if version is not None and OLDEST <= version <= NEWEST:
        return
    if VENV.exists():
        say("Making .venv anew: the old one does not run.")
        shutil.rmtree(VENV)
    say(f"Making .venv with Python {sys.version.split()[0]} ...")
    try:
        # Debian ships the two modules in a package of its own.
        import ensurepip
        import venv

        _ = ensurepip
        venv.create(VENV, with_pip=True)
    except ImportError as error:
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        raise BootstrapError(
            f"This Python lacks its venv module. On Debian and Ubuntu: sudo apt install {package}"
        ) from error
    except (OSError, subprocess.CalledProcessError) as error:
        raise BootstrapError(f"Cannot create {VENV}: {error}") from error


def venv_version() -> tuple[int, int] | None:
    """The version of the environment's Python, None where it does not run."""
    if not PYTHON.exists():
        return None
    code = "import pip, sys; print(*sys.version_info[:2])"
    result = subprocess.run([str(PYTHON), "-c", code], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        return None
    major, minor = result.stdout.split()
    return int(major), int(minor)


def installer() -> list[str]:
    """The command that installs into the environment: uv, or pip where uv cannot be had."""
    uv = VENV / "bin" / "uv"
    if not uv.exists():
        pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check"]
        try:
            run([*pip, "install", "--quiet", UV], doing="install uv")
        except BootstrapError:
            if NETWORK_FAULT.search(LOG.read_text()):
                raise
            return pip
    return [str(uv), "pip"]


def lock() -> None:
    """Resolve pyproject.toml into requirements.txt and requirements-dev.txt."""
    command = [
        *installer(), "compile", "--quiet", "--universal", "--python-version", "3.11",
        "--no-emit-index-url", "--no-header", "--no-annotate",
    ]  # fmt: skip
    run([*command, "pyproject.toml", "-o", "requirements.txt"], doing="resolve the requirements")
    run(
        [*command, "--group", "dev", "-c", "requirements.txt", "-o", "requirements-dev.txt"],
        doing="resolve the development requirements",
    )


def run(command: list[str], *, doing: str) -> None:
    """Run one step with its output in `.venv/install.log`; raise one clear line if it fails."""
    environment = {**os.environ, "VIRTUAL_ENV": str(VENV)}
    if "PIP_INDEX_URL" in environment:
        environment.setdefault("UV_DEFAULT_INDEX", environment["PIP_INDEX_URL"])
    with LOG.open("w") as log:
        result = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=log, stderr=log, check=False
        )
    if result.returncode == 0:
        return
    lines = LOG.read_text().strip().splitlines() or ["no output"]
    if NETWORK_FAULT.search("\n".join(lines)):
        reason = "the package index cannot be reached. Check the network or PIP_INDEX_URL"
    else:
        reason = lines[-1].strip()
    raise BootstrapError(f"Could not {doing}: {reason} (details: {LOG.relative_to(ROOT)}).")


def say(line: str) -> None:
    """Tell the user what takes time."""
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    main()
