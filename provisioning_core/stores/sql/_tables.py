"""The tables. All names begin with ``provisioning_``: they live beside the product's own.

Times are seconds since the epoch as doubles, JSON is text. ``number`` columns count rows in the order they came, so that "newest"
and "oldest" don't depend on a clock. A change here needs a new revision in ``migrations`` and a new ``VERSION``.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from provisioning_core.model import OCCUPYING

VERSION = 1
"""Of the schema; the number of the latest revision."""

METADATA = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "uq": "%(table_name)s_%(column_0_N_name)s",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
    }
)

_Number = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts rows by itself only in an INTEGER

_OCCUPIES = text("status IN ({})".format(", ".join(f"'{status.value}'" for status in sorted(OCCUPYING))))
_HAS_KEY = text("idempotency_key IS NOT NULL")
_HAS_OWNER = text("owner IS NOT NULL")
_IS_RUNNABLE = text("runnable_at IS NOT NULL")
_IS_SET_ASIDE = text("attention IS NOT NULL")


def _run_id() -> Column[str]:
    return Column("run_id", Text, ForeignKey("provisioning_runs.id", ondelete="CASCADE"), nullable=False)


graphs = Table(
    "provisioning_graphs",
    METADATA,
    Column("fingerprint", Text, primary_key=True),
    Column("graph", Text, nullable=False),
)

runs = Table(
    "provisioning_runs",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("plan_version", Text, nullable=False),
    Column("fingerprint", Text, ForeignKey("provisioning_graphs.fingerprint"), nullable=False),
    Column("subject", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("input", Text, nullable=False),
    Column("input_digest", Text, nullable=False),
    Column("labels", Text, nullable=False),
    Column("idempotency_key", Text),
    Column("epoch", Integer, nullable=False),
    Column("owner", Text),
    Column("takeovers", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("token", Integer, nullable=False),
    Column("progress", Double, nullable=False),
    Column("pausing", Boolean, nullable=False),
    Column("cancel_rollback", Boolean, nullable=False),
    Column("rollback_to", Text),
    Column("forced", Boolean, nullable=False),
    Column("attention", Text),
    Column("weights", Text),
    Column("trace", Text),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("runnable_at", Double),
    UniqueConstraint("id"),
    Index("provisioning_runs_one_occupying", "subject", unique=True, sqlite_where=_OCCUPIES, postgresql_where=_OCCUPIES),
    Index(
        "provisioning_runs_idempotency", "subject", "idempotency_key", unique=True, sqlite_where=_HAS_KEY, postgresql_where=_HAS_KEY
    ),
    Index("provisioning_runs_runnable", "runnable_at", "number", sqlite_where=_IS_RUNNABLE, postgresql_where=_IS_RUNNABLE),
    Index("provisioning_runs_set_aside", "number", sqlite_where=_IS_SET_ASIDE, postgresql_where=_IS_SET_ASIDE),
    Index("provisioning_runs_owned", "owner", sqlite_where=_HAS_OWNER, postgresql_where=_HAS_OWNER),
    Index("provisioning_runs_by_subject", "subject", "number"),
    Index("provisioning_runs_by_status", "status", "number"),
    Index("provisioning_runs_by_plan", "plan", "number"),
    Index("provisioning_runs_by_graph", "fingerprint"),
)

steps = Table(
    "provisioning_steps",
    METADATA,
    _run_id(),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("token", Integer, nullable=False),
    Column("live", Text),
    Column("zombie", Boolean, nullable=False),
    Column("round", Integer, nullable=False),
    Column("effect", Boolean, nullable=False),
    Column("redo", Boolean, nullable=False),
    Column("half_done", Boolean, nullable=False),
    Column("skip_reason", Text, nullable=False),
    Column("signalled", Boolean, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("next_attempt_at", Double),
    Column("deadline_at", Double),
    Column("progress", Double, nullable=False),
    Column("message", Text, nullable=False),
    Column("output", Text),
    Column("error", Text),
    Column("undo_error", Text),
    Column("engine", Text),
    Column("checkpoint", Text),
    PrimaryKeyConstraint("run_id", "name"),
)

events = Table(
    "provisioning_events",
    METADATA,
    _run_id(),
    Column("seq", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Column("type", Text, nullable=False),
    Column("step", Text),
    Column("attempt", Integer),
    Column("data", Text, nullable=False),
    Column("actor", Text),
    PrimaryKeyConstraint("run_id", "seq"),
)

resources = Table(
    "provisioning_resources",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _run_id(),
    Column("step", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("token", Integer, nullable=False),
    Column("at", Double, nullable=False),
    UniqueConstraint("run_id", "step", "kind", "id"),
)

requests = Table(
    "provisioning_requests",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False),
    _run_id(),
    Column("verb", Text, nullable=False),
    Column("arguments", Text, nullable=False),
    Column("actor", Text),
    Column("reason", Text),
    Column("at", Double, nullable=False),
    UniqueConstraint("id"),
    Index("provisioning_requests_by_run", "run_id", "number"),
)

completions = Table(
    "provisioning_completions",
    METADATA,
    _run_id(),
    Column("step", Text, nullable=False),
    Column("token", Integer, nullable=False),
    Column("output", Text),
    PrimaryKeyConstraint("run_id", "step"),
)

engines = Table(
    "provisioning_engines",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_started", Text, nullable=False),
    Column("expires_at", Double, nullable=False),
)

durations = Table(
    "provisioning_durations",
    METADATA,
    Column("plan", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("seconds", Double, nullable=False),
    PrimaryKeyConstraint("plan", "step"),
)

webhook_endpoints = Table(
    "provisioning_webhook_endpoints",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("events", Text, nullable=False),
    Column("plans", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("old_secret", Text),
    Column("old_secret_until", Double, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("disabled_why", Text, nullable=False),
    Column("paused_until", Double, nullable=False),
    Column("give_ups", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("id"),
)

# No foreign key to the endpoint: a commit that still goes by one that was just removed must not fail over it.
webhook_queues = Table(
    "provisioning_webhook_queues",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("endpoint", Text, nullable=False),
    _run_id(),
    Column("lane", Text, nullable=False),
    Column("after_seq", Integer, nullable=False),
    Column("until_seq", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("missing_only", Boolean, nullable=False),
    Column("claim", Text),
    Column("due_at", Double, nullable=False),
    UniqueConstraint("endpoint", "run_id", "lane"),
    Index("provisioning_webhook_queues_due", "endpoint", "due_at", "number"),
    Index("provisioning_webhook_queues_by_run", "run_id"),
)

# What was tried outlives the run that it was about.
webhook_log = Table(
    "provisioning_webhook_log",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("message_id", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("run_id", Text),
    Column("seq", Integer, nullable=False),
    Column("type", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("took", Double, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status", Integer),
    Column("error", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("next_at", Double),
    Index("provisioning_webhook_log_by_endpoint", "endpoint", "number"),
    Index("provisioning_webhook_log_by_event", "endpoint", "run_id", "seq"),
    Index("provisioning_webhook_log_by_time", "at"),
)

schema = Table("provisioning_schema", METADATA, Column("version", Integer, primary_key=True, autoincrement=False))
