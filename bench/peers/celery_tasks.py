"""What the Celery worker's process imports. ``BENCH_BROKER`` says where the broker is."""

from __future__ import annotations

import os

from celery import Celery

from bench.driver import Work

_BROKER = os.environ.get("BENCH_BROKER", "")

app = Celery("bench", broker=_BROKER, backend=_BROKER)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    broker_connection_retry_on_startup=True,
    result_expires=3600,
    worker_hijack_root_logger=False,
)

_work = Work()


@app.task
def one(seconds: float) -> int:
    """A step."""
    _work.seconds = seconds
    return _work()


@app.task
def barrier() -> None:
    """Stands between two groups."""


@app.task
def expect(steps: int) -> None:
    """Count anew."""
    _work.expect(steps)


@app.task
def told() -> tuple[int, float]:
    """Steps done, and when the first began."""
    return _work.take_count(), _work.began_at
