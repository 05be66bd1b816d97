"""What is told after each commit: one file for each foreign system, imported only when asked for."""

from provisioning_core.observers.log import JsonFormatter, LogObserver

__all__ = ["JsonFormatter", "LogObserver"]
