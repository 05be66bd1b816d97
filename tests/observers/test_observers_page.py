"""What docs/observability.md shows is run."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "observability.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.M | re.S)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_pages_code_runs(number: int) -> None:
    logger = logging.getLogger("provisioning_core")
    handlers, level = list(logger.handlers), logger.level
    try:
        exec(compile(BLOCKS[number], f"observability.md, block {number + 1}", "exec"), {"__name__": "page"})
    finally:
        logger.handlers[:] = handlers
        logger.setLevel(level)


def test_each_part_of_the_page_has_code() -> None:
    assert len(BLOCKS) == 4


def test_the_page_names_every_check_of_the_doctor_and_every_attribute_of_a_span() -> None:
    core = Path(__file__).parents[2] / "provisioning_core"
    judged = "".join((core / "engine" / name).read_text("utf-8") for name in ("_diagnosis.py", "_store_findings.py"))
    checks = set(re.findall(r'check="([\w ]+)"', judged)) | {"app"}
    explained = set(re.findall(r"^\| `([\w ]+)` \| [^|]*\| [^|]*\|$", TEXT.partition("## provision doctor")[2], re.M))
    assert checks - {"zombies"} - explained == set()
    attributes = set(re.findall(r"provisioning\.(\w+)\"", (core / "observers" / "tracing.py").read_text("utf-8")))
    assert {name for name in attributes if f".{name}`" not in TEXT} == set()
