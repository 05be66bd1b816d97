"""An app that prints wherever it can: at import, in its factory, in a step, in a child process and in a compensation."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from provisioning_core import Engine, Plan, step
from provisioning_core.stores import SqlStore

print("printed at import")


@step
def only() -> None:
    print("printed by the step")
    subprocess.run(["echo", "printed by a child"], check=True)


@only.compensate
def undo() -> None:
    print("printed by the compensation")


def make(*, work: bool) -> Engine:
    print("printed by the factory")
    folder = Path(os.environ["PRINTING_APP_FOLDER"])
    return Engine(store=SqlStore(f"sqlite:///{folder / 'runs.db'}"), plans=[Plan("p", steps=[only])], work=work, poll=0.05)
