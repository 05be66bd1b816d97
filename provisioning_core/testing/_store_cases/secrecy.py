"""Secrets are encrypted at rest: a whole run is provisioned and undone, and its secrets are nowhere in the tables."""

# ruff: noqa: S101  asserting is what these are for
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import BaseModel, SecretBytes, SecretStr

from provisioning_core import Engine, From, Plan, RunStatus, StepContext, StepError, step
from provisioning_core.stores import SqlStore
from provisioning_core.testing._store_cases.sql import rows_of

SECRETS = ("hunter2-input", "hunter2-output", "hunter2-bytes")


class _Customer(BaseModel):
    name: str
    token: SecretStr


class _Login(BaseModel):
    user: str
    password: SecretStr
    key: SecretBytes


class SecrecyCases:
    """What the engine hands to the store."""

    def test_no_secret_is_readable_in_the_tables(self, store: SqlStore) -> None:
        with provisioned_with_secrets(store) as seen:
            rows = rows_of(store)
        assert seen == [SECRETS]
        assert "a visible name" in rows
        assert [secret for secret in SECRETS if secret in rows] == []


@contextmanager
def provisioned_with_secrets(store: SqlStore) -> Iterator[list[tuple[str, ...]]]:
    """Run a plan whose input, outputs and failure hold secrets; gives what its second step got to see."""
    seen: list[tuple[str, ...]] = []

    @step
    def login(customer: _Customer, ctx: StepContext) -> _Login:
        ctx.progress(0.5, "half way")
        return _Login(user=customer.name, password=SecretStr(SECRETS[1]), key=SecretBytes(SECRETS[2].encode()))

    @login.compensate
    def drop(output: _Login | None) -> None:
        assert output is not None
        assert output.password.get_secret_value() == SECRETS[1]

    @step
    def fails(customer: _Customer, made: _Login = From(login)) -> None:
        secrets = customer.token.get_secret_value(), made.password.get_secret_value(), made.key.get_secret_value().decode()
        seen.append(secrets)
        raise StepError(f"refused {secrets[0]} and {secrets[1]}", retryable=False)

    plan = Plan("customer", version="1", input=_Customer, steps=[login, fails], on_failure="rollback")
    with Engine(store=store, plans=[plan], secrets_key=b"0123456789abcdef" * 2) as engine:
        run = engine.start("customer", subject="acme", input=_Customer(name="a visible name", token=SecretStr(SECRETS[0])))
        assert run.wait(timeout=60).status is RunStatus.ROLLED_BACK
        yield seen
