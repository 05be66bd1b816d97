"""The worlds of tests/machine and tests/properties serve here too."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

for _name in ("machine", "properties"):
    sys.path.insert(0, str(Path(__file__).parents[1] / _name))

from verify_shop import Shop  # noqa: E402  behind the path


@pytest.fixture
def shop() -> Shop:
    return Shop()
