"""What a process that stays tells of itself: its log, metrics and traces, as its settings say."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from provisioning_cli._listening import cannot_listen
from provisioning_cli._settings import WorkerSettings
from provisioning_core import Engine, MissingExtra
from provisioning_core.observers import JsonFormatter, LogObserver

if TYPE_CHECKING:
    from provisioning_core.observers.metrics import Metrics

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def tell_as_set(engine: Engine, settings: WorkerSettings) -> None:
    """Log, trace and measure what the engine does."""
    configure_logging(settings)
    if settings.log_events and not any(isinstance(each, LogObserver) for each in engine.observers):
        engine.add_observer(LogObserver())
    if settings.tracing:
        from provisioning_core.observers.tracing import Tracing

        if not any(isinstance(each, Tracing) for each in engine.observers):
            engine.add_observer(Tracing())
    if settings.metrics_port is not None:
        metrics = metrics_of(engine)
        from prometheus_client import start_http_server  # there, since metrics_of did not say that it is missing

        try:
            start_http_server(settings.metrics_port, addr=settings.metrics_host, registry=metrics.registry)
        except OSError as error:
            raise cannot_listen(settings.metrics_host, settings.metrics_port, error, option="PROVISIONING_METRICS_PORT") from error


def configure_logging(settings: WorkerSettings) -> None:
    """Log to stderr; nothing is changed where the app has set its logging up by itself."""
    root = logging.getLogger()
    if root.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else logging.Formatter(_TEXT))
    root.addHandler(handler)
    root.setLevel(settings.log_level.upper())


def metrics_of(engine: Engine) -> Metrics:
    """The metrics that the app itself has for its engine, or new ones. Raises MissingExtra."""
    from provisioning_core.observers.metrics import Metrics

    own = next((each for each in engine.observers if isinstance(each, Metrics)), None)
    metrics = own or Metrics()
    metrics.watch(engine)
    backlog = getattr(engine.webhooks, "backlog", None)
    if own is None and backlog is not None:
        metrics.count_webhooks(backlog)
    return metrics


def metrics_if_any(engine: Engine, *, wanted: bool | None) -> Metrics | None:
    """The same; None when they are not wanted, or (``wanted`` None) not installed."""
    if wanted is False:
        return None
    try:
        return metrics_of(engine)
    except MissingExtra:
        if wanted:
            raise
        return None
