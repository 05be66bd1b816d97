"""The same backend on PostgreSQL: its own tables there, and a schema and a role for each tenant."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import text

from examples.workspaces import engine as new_engine
from examples.workspaces import faults
from examples.workspaces.backend import workspace_for
from examples.workspaces.leftovers import answers, leftovers, tenant_state
from examples.workspaces.plan import workspace_or_nothing
from examples.workspaces.settings import Settings
from examples.workspaces.systems import databases, people
from provisioning_core import RunStatus


@pytest.fixture
def on_postgres(settings: Settings, fresh_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A backend on an empty database; roles outlive a database, so they are dropped at the end."""
    monkeypatch.setenv("WORKSPACES_DATABASE_URL", fresh_postgres_url)
    yield Settings.from_environment()
    for slug in ("acme", "globex"):
        databases.drop(replace(settings, postgres=fresh_postgres_url), slug)


def test_a_role_is_made_with_its_schema_and_both_are_dropped(on_postgres: Settings):
    made = databases.create(on_postgres, "acme")
    assert (made.kind, made.name, made.role) == ("postgresql", "tenant_acme", "tenant_acme")
    with databases.connected(on_postgres, made) as connection:
        assert connection.execute(text("SELECT current_user, current_schema()")).one() == ("tenant_acme", "tenant_acme")
        assert databases.migrate(connection) == len(databases.MIGRATIONS)
    databases.drop(on_postgres, "acme")
    databases.drop(on_postgres, "acme")
    assert not databases.exists(on_postgres, "acme")


def test_an_attempt_made_again_takes_the_role_over_with_a_new_password(on_postgres: Settings):
    first, second = (databases.create(on_postgres, "acme") for _ in range(2))
    assert first.password != second.password
    with databases.connected(on_postgres, second) as connection:
        assert databases.version(connection) == 0


def test_the_index_and_the_users_work_on_postgres_too(on_postgres: Settings):
    made = databases.create(on_postgres, "acme")
    with databases.connected(on_postgres, made) as connection:
        databases.migrate(connection)
        pages = [("Inviting people", "Enter their addresses."), ("Billing", "Invoices come monthly.")]
        assert [databases.build_index(connection, pages) for _ in range(2)] == [2, 2]
        assert databases.search(connection, "invite") == ["Inviting people"]
        people.set_admin(connection, "founder@acme.example", "secret")
        assert people.may_log_in(connection, "founder@acme.example", "secret")


def test_a_tenant_can_not_read_another_ones_data(on_postgres: Settings):
    acme, globex = (databases.create(on_postgres, slug) for slug in ("acme", "globex"))
    with databases.connected(on_postgres, acme) as connection:
        databases.migrate(connection)
    with pytest.raises(Exception, match="permission denied"), databases.connected(on_postgres, globex) as connection:
        connection.execute(text("SELECT * FROM tenant_acme.users"))
    assert databases.exists(on_postgres, "acme")


def test_a_tenant_is_provisioned_and_another_leaves_nothing(on_postgres: Settings):
    with new_engine() as engine:
        for slug in ("acme", "globex"):
            faults.inject(on_postgres, {"mail": faults.FOR_EVER} if slug == "globex" else {})
            engine.start(workspace_or_nothing.name, subject=slug, input=workspace_for(slug)).wait(timeout=60)
        ended = {slug: engine.status(slug) for slug in ("acme", "globex")}
    assert {slug: view.status for slug, view in ended.items()} == {"acme": RunStatus.SUCCEEDED, "globex": RunStatus.ROLLED_BACK}
    assert ended["acme"].steps["database"].output["password"] == "**********"
    assert leftovers(on_postgres, "globex") == []
    assert answers(on_postgres, "acme.workspaces.localhost")
    assert [tenant_state(on_postgres, slug) for slug in ("acme", "globex")] == ["ACTIVE", "FAILED"]
