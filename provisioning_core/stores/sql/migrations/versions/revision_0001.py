"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_occupies = sa.text(
    "status IN ('CANCELLING', 'FAILED', 'PAUSED', 'PENDING', 'ROLLBACK_FAILED', 'ROLLING_BACK', 'RUNNING', 'WAITING')"
)
_has_key = sa.text("idempotency_key IS NOT NULL")
_has_owner = sa.text("owner IS NOT NULL")
_is_runnable = sa.text("runnable_at IS NOT NULL")
_is_set_aside = sa.text("attention IS NOT NULL")


def upgrade() -> None:
    _create_runs()
    _index_runs()
    _create_steps()
    _create_history()
    _create_ledger()
    _create_the_rest()
    _create_webhooks()
    for statement in _TRIGGERS[op.get_context().dialect.name]:
        op.execute(statement)
    op.execute("INSERT INTO provisioning_schema (version) VALUES (1)")


def _create_runs() -> None:
    op.create_table(
        "provisioning_graphs",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("graph", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name="provisioning_graphs_pk"),
    )
    op.create_table(
        "provisioning_runs",
        sa.Column("number", _number, autoincrement=True, nullable=False),
        *(_text(name) for name in ("id", "plan", "plan_version", "fingerprint", "subject", "status", "phase")),
        *(_text(name) for name in ("input", "input_digest", "labels")),
        _text("idempotency_key", nullable=True),
        _integer("epoch"),
        _text("owner", nullable=True),
        *(_integer(name) for name in ("takeovers", "version", "seq", "token")),
        sa.Column("progress", sa.Double(), nullable=False),
        _flag("pausing"),
        _flag("cancel_rollback"),
        _text("rollback_to", nullable=True),
        _flag("forced"),
        *(_text(name, nullable=True) for name in ("attention", "weights", "trace")),
        _time("created_at", nullable=False),
        *(_time(name) for name in ("started_at", "finished_at", "runnable_at")),
        sa.ForeignKeyConstraint(["fingerprint"], ["provisioning_graphs.fingerprint"], name="provisioning_runs_fingerprint_fk"),
        sa.PrimaryKeyConstraint("number", name="provisioning_runs_pk"),
        sa.UniqueConstraint("id", name="provisioning_runs_id"),
    )


def _index_runs() -> None:
    table = "provisioning_runs"
    op.create_index(
        "provisioning_runs_one_occupying", table, ["subject"], unique=True, sqlite_where=_occupies, postgresql_where=_occupies
    )
    key = ["subject", "idempotency_key"]
    op.create_index("provisioning_runs_idempotency", table, key, unique=True, sqlite_where=_has_key, postgresql_where=_has_key)
    when = ["runnable_at", "number"]
    op.create_index("provisioning_runs_runnable", table, when, sqlite_where=_is_runnable, postgresql_where=_is_runnable)
    op.create_index("provisioning_runs_set_aside", table, ["number"], sqlite_where=_is_set_aside, postgresql_where=_is_set_aside)
    op.create_index("provisioning_runs_owned", table, ["owner"], sqlite_where=_has_owner, postgresql_where=_has_owner)
    op.create_index("provisioning_runs_by_subject", table, ["subject", "number"])
    op.create_index("provisioning_runs_by_status", table, ["status", "number"])
    op.create_index("provisioning_runs_by_plan", table, ["plan", "number"])
    op.create_index("provisioning_runs_by_graph", table, ["fingerprint"])


def _create_steps() -> None:
    op.create_table(
        "provisioning_steps",
        *(_text(name) for name in ("run_id", "name", "status")),
        *(_integer(name) for name in ("attempt", "failures", "token")),
        _text("live", nullable=True),
        _flag("zombie"),
        _integer("round"),
        *(_flag(name) for name in ("effect", "redo", "half_done")),
        _text("skip_reason"),
        _flag("signalled"),
        *(_time(name) for name in ("started_at", "finished_at", "next_attempt_at", "deadline_at")),
        sa.Column("progress", sa.Double(), nullable=False),
        _text("message"),
        *(_text(name, nullable=True) for name in ("output", "error", "undo_error", "engine", "checkpoint")),
        sa.PrimaryKeyConstraint("run_id", "name", name="provisioning_steps_pk"),
        _of_a_run("provisioning_steps"),
    )


def _create_history() -> None:
    op.create_table(
        "provisioning_events",
        _text("run_id"),
        _integer("seq"),
        _time("at", nullable=False),
        _text("type"),
        _text("step", nullable=True),
        sa.Column("attempt", sa.Integer()),
        _text("data"),
        _text("actor", nullable=True),
        sa.PrimaryKeyConstraint("run_id", "seq", name="provisioning_events_pk"),
        _of_a_run("provisioning_events"),
    )
    op.create_table(
        "provisioning_requests",
        sa.Column("number", _number, autoincrement=True, nullable=False),
        *(_text(name) for name in ("id", "run_id", "verb", "arguments")),
        *(_text(name, nullable=True) for name in ("actor", "reason")),
        _time("at", nullable=False),
        sa.PrimaryKeyConstraint("number", name="provisioning_requests_pk"),
        sa.UniqueConstraint("id", name="provisioning_requests_id"),
        _of_a_run("provisioning_requests"),
    )
    op.create_index("provisioning_requests_by_run", "provisioning_requests", ["run_id", "number"])


def _create_ledger() -> None:
    op.create_table(
        "provisioning_resources",
        sa.Column("number", _number, autoincrement=True, nullable=False),
        *(_text(name) for name in ("run_id", "step", "kind", "id", "details")),
        *(_integer(name) for name in ("attempt", "token")),
        _time("at", nullable=False),
        sa.PrimaryKeyConstraint("number", name="provisioning_resources_pk"),
        sa.UniqueConstraint("run_id", "step", "kind", "id", name="provisioning_resources_run_id_step_kind_id"),
        _of_a_run("provisioning_resources"),
    )
    op.create_table(
        "provisioning_completions",
        *(_text(name) for name in ("run_id", "step")),
        _integer("token"),
        _text("output", nullable=True),
        sa.PrimaryKeyConstraint("run_id", "step", name="provisioning_completions_pk"),
        _of_a_run("provisioning_completions"),
    )


def _create_the_rest() -> None:
    op.create_table(
        "provisioning_engines",
        *(_text(name) for name in ("id", "host", "boot_id")),
        _integer("pid"),
        _text("process_started"),
        _time("expires_at", nullable=False),
        sa.PrimaryKeyConstraint("id", name="provisioning_engines_pk"),
    )
    op.create_table(
        "provisioning_durations",
        *(_text(name) for name in ("plan", "step")),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("plan", "step", name="provisioning_durations_pk"),
    )
    op.create_table(
        "provisioning_schema",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("version", name="provisioning_schema_pk"),
    )


def _create_webhooks() -> None:
    op.create_table(
        "provisioning_webhook_endpoints",
        sa.Column("number", _number, autoincrement=True, nullable=False),
        *(_text(name) for name in ("id", "url", "events", "plans", "description", "secret")),
        _text("old_secret", nullable=True),
        _time("old_secret_until", nullable=False),
        _flag("enabled"),
        _text("disabled_why"),
        _time("paused_until", nullable=False),
        _integer("give_ups"),
        _time("created_at", nullable=False),
        sa.PrimaryKeyConstraint("number", name="provisioning_webhook_endpoints_pk"),
        sa.UniqueConstraint("id", name="provisioning_webhook_endpoints_id"),
    )
    op.create_table(
        "provisioning_webhook_queues",
        sa.Column("number", _number, autoincrement=True, nullable=False),
        *(_text(name) for name in ("endpoint", "run_id", "lane")),
        *(_integer(name) for name in ("after_seq", "until_seq", "tries")),
        _flag("missing_only"),
        _text("claim", nullable=True),
        _time("due_at", nullable=False),
        sa.PrimaryKeyConstraint("number", name="provisioning_webhook_queues_pk"),
        sa.UniqueConstraint("endpoint", "run_id", "lane", name="provisioning_webhook_queues_endpoint_run_id_lane"),
        _of_a_run("provisioning_webhook_queues"),
    )
    op.create_index("provisioning_webhook_queues_due", "provisioning_webhook_queues", ["endpoint", "due_at", "number"])
    op.create_index("provisioning_webhook_queues_by_run", "provisioning_webhook_queues", ["run_id"])
    op.create_table(
        "provisioning_webhook_log",
        sa.Column("number", _number, autoincrement=True, nullable=False),
        *(_text(name) for name in ("message_id", "endpoint")),
        _text("run_id", nullable=True),
        _integer("seq"),
        _text("type"),
        *(_time(name, nullable=False) for name in ("at", "took")),
        _integer("attempt"),
        _text("outcome"),
        sa.Column("status", sa.Integer()),
        *(_text(name) for name in ("error", "body")),
        _time("next_at"),
        sa.PrimaryKeyConstraint("number", name="provisioning_webhook_log_pk"),
    )
    op.create_index("provisioning_webhook_log_by_endpoint", "provisioning_webhook_log", ["endpoint", "number"])
    op.create_index("provisioning_webhook_log_by_event", "provisioning_webhook_log", ["endpoint", "run_id", "seq"])
    op.create_index("provisioning_webhook_log_by_time", "provisioning_webhook_log", ["at"])


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _time(name: str, *, nullable: bool = True) -> sa.Column[float]:
    return sa.Column(name, sa.Double(), nullable=nullable)


def _of_a_run(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["run_id"], ["provisioning_runs.id"], name=f"{table}_run_id_fk", ondelete="CASCADE")


_SQLITE = (
    """
    CREATE TRIGGER provisioning_runs_rolled_back BEFORE UPDATE OF status ON provisioning_runs
    WHEN NEW.status = 'ROLLED_BACK' AND EXISTS (SELECT 1 FROM provisioning_steps WHERE run_id = NEW.id AND effect)
    BEGIN SELECT RAISE(ABORT, 'provisioning_has_effects'); END
    """,
    """
    CREATE TRIGGER provisioning_steps_inserted BEFORE INSERT ON provisioning_steps
    WHEN NEW.effect AND (SELECT status FROM provisioning_runs WHERE id = NEW.run_id) = 'ROLLED_BACK'
    BEGIN SELECT RAISE(ABORT, 'provisioning_has_effects'); END
    """,
    """
    CREATE TRIGGER provisioning_steps_updated BEFORE UPDATE OF effect, run_id ON provisioning_steps
    WHEN NEW.effect AND (SELECT status FROM provisioning_runs WHERE id = NEW.run_id) = 'ROLLED_BACK'
    BEGIN SELECT RAISE(ABORT, 'provisioning_has_effects'); END
    """,
)

_POSTGRESQL = (
    """
    CREATE FUNCTION provisioning_check_run() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT 1 FROM provisioning_steps WHERE run_id = NEW.id AND effect) THEN
            RAISE EXCEPTION 'provisioning_has_effects' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE FUNCTION provisioning_check_step() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        run_status text;
    BEGIN
        SELECT status INTO run_status FROM provisioning_runs WHERE id = NEW.run_id FOR SHARE;
        IF run_status = 'ROLLED_BACK' THEN
            RAISE EXCEPTION 'provisioning_has_effects' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER provisioning_runs_rolled_back BEFORE UPDATE OF status ON provisioning_runs
    FOR EACH ROW WHEN (NEW.status = 'ROLLED_BACK') EXECUTE FUNCTION provisioning_check_run()
    """,
    """
    CREATE TRIGGER provisioning_steps_inserted BEFORE INSERT ON provisioning_steps
    FOR EACH ROW WHEN (NEW.effect) EXECUTE FUNCTION provisioning_check_step()
    """,
    """
    CREATE TRIGGER provisioning_steps_updated BEFORE UPDATE OF effect, run_id ON provisioning_steps
    FOR EACH ROW WHEN (NEW.effect) EXECUTE FUNCTION provisioning_check_step()
    """,
)

_TRIGGERS = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}
