"""Commits are sorted into buckets whose counts only grow along the bounds, as Prometheus has them."""

from __future__ import annotations

from provisioning_core.engine._meter import CommitMeter, Histogram
from provisioning_core.model import Distribution


def test_a_value_counts_in_its_bucket_and_in_all_above() -> None:
    histogram = Histogram((1, 2, 5))
    for value in (0.5, 1, 2, 3, 9):
        histogram.add(value)
    assert histogram.read() == Distribution(bounds=(1, 2, 5), counts=(2, 3, 4), total=5, sum=15.5)


def test_nothing_measured_is_nothing() -> None:
    assert Histogram((1.0,)).read() == Distribution(bounds=(1.0,), counts=(0,), total=0, sum=0.0)


def test_a_failed_commit_takes_time_and_writes_nothing() -> None:
    meter = CommitMeter()
    meter.written(0.002, runs=3, events=7)
    meter.failed(0.5)
    stats = meter.read()
    assert (stats.seconds.total, stats.events.total, stats.events.sum, stats.runs, stats.failed) == (2, 1, 7, 3, 1)
    assert dict(zip(stats.seconds.bounds, stats.seconds.counts, strict=True))[0.0025] == 1
