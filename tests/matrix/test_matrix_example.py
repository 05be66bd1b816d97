"""The example and the guide show what is true."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")


def test_the_example_prints_the_table_that_the_guide_shows(tmp_path: Path):
    command = [sys.executable, "-W", "error", str(ROOT / "examples" / "fault_matrix.py")]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    [table] = re.findall(r"^```text\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    assert table in ran.stdout
    assert "LEFT   step customer: it was killed when it had made" in ran.stdout


def test_the_three_lines_of_the_guide_are_collected(tmp_path: Path):
    first, second = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    (tmp_path / "test_workspace.py").write_text(first)
    (tmp_path / "test_fixture.py").write_text(
        "import pytest\nimport myapp\nfrom myapp import plan, Workspace\n"
        "@pytest.fixture\ndef cloud():\n    return myapp.cloud\n" + second
    )
    (tmp_path / "myapp.py").write_text(
        "from pydantic import BaseModel\nfrom provisioning_core import Plan, step\n"
        "class Workspace(BaseModel):\n    slug: str\n"
        "class cloud:\n    names = list\n    clear = dict\n"
        "@step\ndef bucket(workspace: Workspace) -> str:\n    return workspace.slug\n"
        "plan = Plan('workspace', input=Workspace, steps=[bucket])\n"
    )
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-p", "no:cov", "--strict-markers", "."]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "test_workspace_survives[bucket-runs twice] PASSED" in ran.stdout
    assert "test_fixture.py::test_workspace_survives PASSED" in ran.stdout
