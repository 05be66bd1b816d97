"""Proves a plan: every step under every fault, in virtual time, and what has to be mended.

Run it: ``python examples/fault_matrix.py``. ``bucket`` is as it should be; ``customer`` makes a second one when it runs twice.
"""

from itertools import count

from provisioning_core import Plan, Retry, StepContext, step
from provisioning_core.testing import fault_matrix

cloud: dict[str, int] = {}
numbers = count(1)


@step(retry=Retry(attempts=3), timeout=30)
def bucket(ctx: StepContext) -> str:
    name = f"bucket-{ctx.subject}"
    ctx.record("bucket", name)
    cloud[name] = 1
    return name


@bucket.compensate
def delete_bucket(ctx: StepContext) -> None:
    cloud.pop(f"bucket-{ctx.subject}", None)


@step(needs=[bucket], retry=Retry(attempts=3))
def customer(ctx: StepContext) -> str:
    name = f"customer-{next(numbers)}"
    cloud[name] = 1
    ctx.record("customer", name)
    return name


@customer.compensate
def delete_customer(ctx: StepContext) -> None:
    for resource in ctx.resources:
        cloud.pop(resource.id, None)


plan = Plan("workspace", steps=[bucket, customer])

if __name__ == "__main__":
    print(fault_matrix(plan, world=cloud.copy, fresh=cloud.clear))
