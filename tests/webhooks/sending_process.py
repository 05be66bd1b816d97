"""A process that does nothing but send webhooks, impatiently: ``python sending_process.py STORE_URL``."""

from __future__ import annotations

import sys
import threading

from provisioning_core import Engine
from provisioning_core.observers.webhooks import Webhooks, _schedule
from provisioning_core.stores import SqlStore

_schedule.DELAYS = (0.05,) * 40


def main() -> None:
    webhooks = Webhooks(allow_private_targets=True, timeout=0.3, connect_timeout=0.3, lease=2.0, poll=0.05)
    with Engine(store=SqlStore(sys.argv[1]), plans=[], webhooks=webhooks):
        print("sending", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
