"""One virtual environment for each group of contenders that can live together, made at first use. Standard library only."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".work" / "bench"
REQUIREMENTS = Path(__file__).resolve().parent / "requirements"


class Missing(Exception):
    """An environment can't be made; the message says why."""


def interpreter(name: str) -> Path:
    """Python of the environment ``name``, with what ``requirements/<name>.txt`` lists. Raises Missing."""
    wanted = (REQUIREMENTS / f"{name}.txt").read_text()
    folder = HOME / f"venv-{name}"
    python, stamp = folder / "bin" / "python", folder / "made-of"
    digest = hashlib.sha256(f"{wanted}{sys.version}".encode()).hexdigest()
    if not python.exists() or not stamp.exists() or stamp.read_text() != digest:
        sys.stderr.write(f"making the environment {name!r} …\n")
        shutil.rmtree(folder, ignore_errors=True)
        _run(sys.executable, "-m", "venv", folder)
        _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS / f"{name}.txt")
        stamp.write_text(digest)
    return python


def versions(python: Path) -> dict[str, str]:
    """What is installed there, by name."""
    listing = subprocess.run(
        [python, "-m", "pip", "list", "--disable-pip-version-check", "--format=freeze"], capture_output=True, text=True, check=False
    ).stdout
    return dict(line.split("==", 1) for line in listing.splitlines() if "==" in line)


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise Missing((done.stderr or done.stdout).strip()[-600:])
