"""The benchmark's own arithmetic: shapes, the ideal, ratios, and what counts as reached."""

from __future__ import annotations

import pytest

from bench.statistics_of import Spread, ratio, spread
from bench.targets import judge
from bench.workloads import TENANT, WORKLOADS, Workload, chain, fan_out, layers, workload


def test_the_workloads_have_the_sizes_they_are_named_for():
    sizes = {name: (len(make(1.0).needs), make(1.0).runs) for name, make in WORKLOADS.items()}
    assert sizes == {
        "chain": (1000, 1),
        "fanout": (1002, 1),
        "layers20x50": (1000, 1),
        "layers100x100": (10_000, 1),
        "tenants100": (12, 100),
        "tenants1000": (12, 1000),
    }


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_step_needs_earlier_steps_only_and_none_twice(name):
    for index, needs in enumerate(workload(name).needs):
        assert all(need < index for need in needs)
        assert len(set(needs)) == len(needs)


def test_a_smaller_workload_keeps_its_shape():
    small = workload("layers20x50", scale=0.1)
    assert [len(layer) for layer in small.layers] == [50, 50]
    assert workload("tenants100", scale=0.5).runs == 50


@pytest.mark.parametrize(
    ("needs", "runs", "rounds"),
    [
        (chain(7), 1, 7),
        (fan_out(32), 1, 1 + 2 + 1),
        (fan_out(33), 1, 1 + 3 + 1),
        (layers(3, 50, needs=50), 1, 3 * 4),
        (TENANT, 1, 7),
        (((),), 17, 2),
    ],
)
def test_the_ideal_is_what_16_tireless_workers_need(needs, runs, rounds):
    work = Workload(name="any", needs=needs, runs=runs, seconds=0.005)
    assert work.ideal_seconds(16) == pytest.approx(rounds * 0.005)


def test_a_ratio_is_formed_round_by_round_and_leaves_out_rounds_without_a_figure():
    assert ratio([10.0, 30.0, 50.0], [5.0, None, 10.0]) == Spread(3.5, 2.0, 5.0)
    assert ratio([10.0], [None]) is None
    assert spread(None) is None


def _rates(**rates):
    return {"throughput": {"chain": {"0.0": {key.replace("_", "-"): {"rates": values} for key, values in rates.items()}}}}


@pytest.mark.parametrize(("ours", "is_met"), [([500.0, 520.0, 100.0], True), ([490.0, 480.0, 900.0], False)])
def test_a_target_is_judged_by_the_median_of_its_ratios(ours, is_met):
    results = _rates(ours_sqlite=ours, dbos_sqlite=[100.0] * 3)
    (judged,) = (each for each in judge(results) if each.target == "SQLite, chain: ≥ 5× DBOS")
    assert judged.is_met is is_met
    assert not judged.is_sure  # one round says otherwise


def test_what_was_not_measured_is_neither_reached_nor_missed():
    assert {each.is_met for each in judge({})} == {None}
