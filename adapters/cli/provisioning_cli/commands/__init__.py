"""The commands, in the order in which ``--help`` of a small program would tell them."""

from provisioning_cli.commands._db import db
from provisioning_cli.commands._demo import demo
from provisioning_cli.commands._doctor import doctor
from provisioning_cli.commands._plans import check, graph, plan, plans
from provisioning_cli.commands._reads import events, explain, runs, status, timeline, watch
from provisioning_cli.commands._service import serve, worker
from provisioning_cli.commands._undoing import cancel, deprovision, rollback
from provisioning_cli.commands._verbs import adopt_plan, continue_, pause, resolve, retry, signal, skip, start
from provisioning_cli.commands._verify import verify
from provisioning_cli.commands._webhooks import webhooks

COMMANDS = (
    demo,
    plans,
    check,
    plan,
    graph,
    start,
    status,
    watch,
    retry,
    continue_,
    skip,
    resolve,
    rollback,
    cancel,
    pause,
    signal,
    deprovision,
    adopt_plan,
    runs,
    events,
    explain,
    timeline,
    worker,
    serve,
    verify,
    doctor,
    webhooks,
    db,
)

__all__ = ["COMMANDS"]
