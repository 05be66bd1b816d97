"""``python -m bench``: makes the benchmark's own environment and goes on there. Standard library only."""

from __future__ import annotations

import os

from bench.environments import ROOT, interpreter


def main() -> None:
    """Never returns."""
    python = interpreter("own")
    os.chdir(ROOT)
    os.execv(python, [str(python), "-m", "bench.run"])


if __name__ == "__main__":
    main()
