"""Webhooks: other systems are told what happens to runs, signed as Standard Webhooks has it, at least once, in order for each run."""

from __future__ import annotations

from importlib.util import find_spec

from provisioning_core.errors import MissingExtra

if find_spec("urllib3") is None:
    raise MissingExtra("webhooks", "Sending webhooks")

from provisioning_core.observers.webhooks._registry import EVENT_TYPES, EndpointView
from provisioning_core.observers.webhooks._targets import TargetRefused
from provisioning_core.observers.webhooks._webhooks import Webhooks

__all__ = ["EVENT_TYPES", "EndpointView", "TargetRefused", "Webhooks"]
