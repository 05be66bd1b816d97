"""The rule that no run is ROLLED_BACK over a step that has an effect, kept by the database itself, from both sides."""

from __future__ import annotations

HAS_EFFECTS = "provisioning_has_effects"
"""Occurs in the error that a trigger raises."""

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

# The step's side locks the run's row: otherwise two transactions at once could each see the state before the other.
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

TRIGGERS = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}
"""The statements that make them, for each kind of database."""
