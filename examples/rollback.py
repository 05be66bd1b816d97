"""A rollback: the third step fails for good, so what the other two made is removed, in reverse order.

Run it: ``python examples/rollback.py``.
"""

from provisioning_core import Engine, From, Plan, Retry, StepContext, StepError, step
from provisioning_core.stores import MemoryStore


@step
def bucket(ctx: StepContext) -> str:
    name = f"bucket-{ctx.subject}"
    ctx.record("bucket", name)
    print(f"made      {name}")
    return name


@bucket.compensate(retry=Retry(attempts=5))
def delete_bucket(output: str | None) -> None:
    print(f"removed   {output}")


@step
def dns_record(ctx: StepContext, bucket: str = From(bucket)) -> str:
    print(f"made      {ctx.subject}.example -> {bucket}")
    return f"{ctx.subject}.example"


@dns_record.compensate
def delete_dns_record(output: str | None) -> None:
    print(f"removed   {output}")


@step(needs=[dns_record], retry=Retry(attempts=2, initial=0.05), user_message="Billing is not available at the moment.")
def customer(ctx: StepContext) -> str:
    print(f"attempt {ctx.attempt} to make a customer")
    raise StepError("the card was declined", code="card_declined")


plan = Plan("workspace", steps=[bucket, dns_record, customer], on_failure="rollback")

if __name__ == "__main__":
    with Engine(store=MemoryStore(), plans=[plan]) as engine:
        view = engine.start("workspace", subject="globex").wait(timeout=10)
        print(f"{view.subject} is {view.status}")
        for error in view.errors:
            print(f"the user reads: {error.message}  operators read: {error.code}: {error.detail}")
