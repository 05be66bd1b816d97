"""What is not asked for is not imported; what is asked for and missing says what to install."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from provisioning_core import MissingExtra


def test_the_core_and_its_faces_import_neither_prometheus_nor_opentelemetry() -> None:
    code = (
        "import sys, provisioning_core, provisioning_core.observers, provisioning_cli;"
        "print([name for name in ('prometheus_client', 'opentelemetry', 'fastapi') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("module", "needs", "extra"), [("metrics", "prometheus_client", "metrics"), ("tracing", "opentelemetry", "otel")]
)
def test_a_missing_extra_is_named(module: str, needs: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, needs, None)
    monkeypatch.delitem(sys.modules, f"provisioning_core.observers.{module}", raising=False)
    with pytest.raises(MissingExtra) as caught:
        importlib.import_module(f"provisioning_core.observers.{module}")
    assert caught.value.extra == extra
    assert f'pip install "provisioning-core[{extra}]"' in caught.value.hint
