"""The pytest plug-in: a plan under every fault, one test for each.

A package of its own because pytest loads its plug-ins before anything else, coverage too: here nothing but pytest is imported until
a test asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from provisioning_core.testing import Cell, FaultMatrix

_MARK = "provisioning_plan"


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line(
        "markers",
        f"{_MARK}(plan, input=None, *, world=None, fresh=None, ...): the plan of the fixture provisioning_cell; "
        "what fault_matrix takes",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes ``provisioning_cell`` runs for every step and fault of its mark's plan."""
    if "provisioning_cell" not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker(_MARK)
    if mark is None:
        raise pytest.UsageError(f"{metafunc.definition.nodeid} takes provisioning_cell and has no mark {_MARK}(plan, ...)")
    from provisioning_core.testing import Proof

    proof = Proof.of(*mark.args, **mark.kwargs)
    cells = [pytest.param((proof, step, fault), id=f"{step}-{fault}") for step, fault in proof.cells]
    metafunc.parametrize("provisioning_cell", cells, indirect=True)


@pytest.fixture
def provisioning_cell(request: pytest.FixtureRequest) -> Cell:
    """One step under one fault, after the run; ``prove()`` fails with what is to be mended."""
    proof, step, fault = request.param
    cell: Cell = proof.cell(step, fault)
    if cell.is_empty:
        pytest.skip(f"{fault!r} can't strike step {step!r}")
    return cell


@pytest.fixture
def provisioning_faults(request: pytest.FixtureRequest) -> Callable[..., FaultMatrix]:
    """``fault_matrix`` that fails with its whole table; for a world that comes from fixtures."""

    def prove(*args: Any, **kwargs: Any) -> FaultMatrix:
        __tracebackhide__ = True
        from provisioning_core.testing import fault_matrix

        matrix = fault_matrix(*args, **kwargs)
        request.node.add_report_section("call", "fault matrix", str(matrix))
        matrix.assert_clean()
        return matrix

    return prove
