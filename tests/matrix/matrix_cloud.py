"""A cloud that is a dictionary, and a plan on it that survives everything."""

from __future__ import annotations

import asyncio
from typing import Any

from provisioning_core import From, NotReady, Plan, Retry, StepContext, gate, step


class Cloud:
    """What is there, by name; a name can be there more than once, as mails can."""

    def __init__(self) -> None:
        self.things: dict[str, int] = {}
        self.serial = 0

    def fresh(self) -> None:
        self.things.clear()

    def world(self) -> dict[str, int]:
        return self.things

    def put(self, name: str) -> str:
        """There, whether it was or not."""
        self.things[name] = 1
        return name

    def add(self, kind: str) -> str:
        """Another one, under a name that nobody had."""
        self.serial += 1
        return self.put(f"{kind}-{self.serial}")

    def create(self, name: str) -> str:
        """Raises KeyError when it is there already."""
        if name in self.things:
            raise KeyError(f"{name} exists already")
        return self.put(name)

    def remove(self, name: str) -> None:
        """Fine if there is none."""
        self.things.pop(name, None)

    def delete(self, name: str | None) -> None:
        """Raises KeyError when it is not there."""
        del self.things[str(name)]


def good_plan(cloud: Cloud, **options: Any) -> Plan:  # noqa: C901  a plan, no decisions
    """Each kind of step, as it should be."""

    @step(retry=Retry(attempts=3, initial=60), timeout=30)
    def database(ctx: StepContext) -> str:
        ctx.record("database", f"db-{ctx.subject}")
        ctx.checkpoint({"at": 1})
        return cloud.put(f"db-{ctx.subject}")

    @database.compensate(retry=Retry(attempts=3))
    def drop_database(ctx: StepContext) -> None:
        cloud.remove(f"db-{ctx.subject}")

    @database.probe
    def find_database(ctx: StepContext) -> str | None:
        return f"db-{ctx.subject}" if f"db-{ctx.subject}" in cloud.things else None

    @step
    async def bucket(ctx: StepContext, db: str = From(database)) -> str:
        name = f"bucket for {ctx.idempotency_key} on {db}"
        ctx.record("bucket", name)
        await asyncio.sleep(0)
        return cloud.put(name)

    @bucket.compensate
    async def delete_bucket(ctx: StepContext) -> None:
        for each in ctx.resources:
            cloud.remove(each.id)

    approval = gate("approval", needs=[database], payload=int)

    @step(needs=[approval], retry=Retry(attempts=2), compensate_on="succeeded")
    def site(ctx: StepContext) -> None:
        if ctx.attempt == 1 and ctx.restored is None:
            ctx.checkpoint("asked")
            raise NotReady(after=3600)
        cloud.put("site")

    @site.compensate
    def withdraw_site() -> None:
        cloud.remove("site")

    @step(needs=[site, bucket], irreversible=True)
    def mail() -> None:
        cloud.put("mail")

    @step(needs=[database], when=lambda _: False)
    def extra() -> None:
        cloud.put("extra")

    return Plan("good", steps=[database, bucket, approval, site, mail, extra], **options)
