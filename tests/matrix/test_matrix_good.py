"""A plan that survives everything, and what the matrix says of it."""

from uuid import uuid4

import pytest
from matrix_cloud import Cloud, good_plan
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.orm import Session

from provisioning_core import NotReady, Plan, ProvisioningError, Retry, StepContext, gate, step
from provisioning_core.testing import FaultMatrix, fault_matrix
from provisioning_core.testing._matrix_result import Verdict

THERE, GONE, HONEST, NOTHING = Verdict.THERE, Verdict.GONE, Verdict.HONEST, Verdict.NOTHING
SIGNALS = {"approval": 7}


@pytest.fixture(params=["finish", "halt", "rollback"])
def on_failure(request: pytest.FixtureRequest) -> str:
    return request.param


def prove(cloud: Cloud, plan: Plan, **options) -> FaultMatrix:
    return fault_matrix(plan, signals=SIGNALS, world=cloud.world, fresh=cloud.fresh, **options)


def verdicts(matrix: FaultMatrix, step: str) -> dict[str, Verdict]:
    return {fault: cell.verdict for row in matrix.rows if row.step == step for fault, cell in row.cells.items()}


def test_a_good_plan_is_clean_whatever_it_does_after_a_failure(on_failure: str):
    cloud = Cloud()
    matrix = prove(cloud, good_plan(cloud, on_failure=on_failure))
    matrix.assert_clean()
    assert matrix.is_clean


def test_each_fault_ends_as_it_should():
    cloud = Cloud()
    assert verdicts(prove(cloud, good_plan(cloud), steps=["database"]), "database") == {
        "fails": HONEST,
        "fails late": HONEST,
        "fails once": THERE,
        "times out": HONEST,
        "late": THERE,
        "killed before": THERE,
        "killed during": THERE,
        "killed after": THERE,
        "runs twice": THERE,
        "closed": THERE,
        "answer lost": THERE,
        "undo fails": HONEST,
        "by hand": HONEST,
        "undo twice": GONE,
        "undone": GONE,
    }


def test_a_plan_that_rolls_back_by_itself_ends_with_nothing():
    cloud = Cloud()
    found = verdicts(prove(cloud, good_plan(cloud, on_failure="rollback"), steps=["bucket"]), "bucket")
    assert {fault for fault, verdict in found.items() if verdict is GONE} == {
        "fails",
        "fails late",
        "fails once",
        "undo twice",
        "undone",
    }


def test_what_cannot_happen_to_a_step_is_not_tried():
    cloud = Cloud()
    matrix = prove(cloud, good_plan(cloud), faults=["fails late", "times out", "undo fails", "killed during", "undone"])
    assert set(verdicts(matrix, "extra").values()) == {NOTHING}
    assert verdicts(matrix, "site") == {
        "fails late": NOTHING,
        "times out": NOTHING,
        "killed during": THERE,
        "undo fails": HONEST,
        "undone": GONE,
    }
    assert verdicts(matrix, "mail")["undone"] is HONEST
    assert set(verdicts(matrix, "approval").values()) == {NOTHING}


def test_a_gate_is_killed_and_forgotten():
    waits = gate("waits", timeout=3 * 86400)
    matrix = fault_matrix(Plan("gated", steps=[waits]))
    assert {fault for fault, verdict in verdicts(matrix, "waits").items() if verdict is not NOTHING} == {"times out", "killed before"}
    assert verdicts(matrix, "waits")["times out"] is HONEST
    assert matrix.is_clean


def test_without_a_world_the_ledger_is_looked_at():
    cloud = Cloud()
    fault_matrix(good_plan(cloud), signals=SIGNALS, fresh=cloud.fresh).assert_clean()


def test_a_step_in_doubt_is_settled_by_a_person_who_looked():
    cloud = Cloud()

    @step(in_doubt="hold")
    def customer() -> str:
        return cloud.create("customer")

    @customer.compensate
    def delete_customer() -> None:
        cloud.remove("customer")

    faults = ["killed before", "runs twice"]
    matrix = prove(cloud, Plan("held", steps=[customer]), faults=faults)
    matrix.assert_clean()
    assert verdicts(matrix, "customer") == {"killed before": HONEST, "runs twice": HONEST}


def test_an_optional_step_may_fail():
    cloud = Cloud()

    @step(optional=True)
    def hint() -> None:
        cloud.put("hint")

    @hint.compensate
    def remove_hint() -> None:
        cloud.remove("hint")

    matrix = prove(cloud, Plan("lenient", steps=[hint]))
    matrix.assert_clean()
    assert verdicts(matrix, "hint")["fails"] is THERE


def test_a_name_may_differ_from_run_to_run():
    cloud = Cloud()

    @step
    def machine(ctx: StepContext) -> str:
        if not ctx.resources:
            ctx.record("machine", f"machine-{uuid4()}")
        return cloud.put(ctx.resources[0].id)

    @machine.compensate
    def stop_machine(ctx: StepContext) -> None:
        for each in ctx.resources:
            cloud.remove(each.id)

    prove(cloud, Plan("machines", steps=[machine])).assert_clean()


def test_a_transactional_step_gets_a_store_in_memory_that_has_transactions():
    @step(transactional=True)
    def seed(session: Session, ctx: StepContext) -> int:
        ctx.record("rows", "1 to 4")
        ctx.checkpoint("asked")
        return int(session.execute(text("select 4")).scalar_one())

    @seed.compensate
    def unseed(session: Session) -> None: ...

    matrix = fault_matrix(Plan("rows", steps=[seed]))
    matrix.assert_clean()
    assert verdicts(matrix, "seed")["answer lost"] is THERE


def test_secrets_get_a_key_for_the_proof():
    @step
    def password() -> SecretStr:
        return SecretStr("hidden")

    fault_matrix(Plan("secret", steps=[password])).assert_clean()


def test_steps_beside_one_whose_time_is_up_go_on():
    cloud = Cloud()

    @step(timeout=600)
    def slow() -> None: ...

    @step(retry=Retry(attempts=3, initial=60))
    def beside(ctx: StepContext) -> None:
        if ctx.attempt < 3:
            raise RuntimeError("not yet")
        cloud.put("beside")

    @beside.compensate
    def remove_beside() -> None:
        cloud.remove("beside")

    matrix = prove(cloud, Plan("two", steps=[slow, beside]), steps=["slow"])
    matrix.assert_clean()
    assert verdicts(matrix, "slow")["times out"] is HONEST


def test_a_second_attempt_may_take_another_way_than_the_one_that_is_killed():
    cloud = Cloud()
    ways = iter(range(100))

    @step
    def moody(ctx: StepContext) -> None:
        if next(ways) % 2 == 0:
            ctx.checkpoint("even")

    matrix = prove(cloud, Plan("moody", steps=[moody]), faults=["killed during"])
    assert verdicts(matrix, "moody") == {"killed during": THERE}


def test_a_plan_that_fails_without_a_fault_is_refused():
    @step
    def broken() -> None:
        raise RuntimeError("no")

    with pytest.raises(ProvisioningError, match="does not succeed without any fault: step broken: RuntimeError: no") as refused:
        fault_matrix(Plan("broken", steps=[broken]))
    assert refused.value.code == "no_baseline"


def test_a_plan_that_never_rests_is_refused():
    @step
    def forever() -> None:
        raise NotReady(after=1)

    with pytest.raises(ProvisioningError, match="it does not come to rest"):
        fault_matrix(Plan("restless", steps=[forever]))


def test_a_gate_needs_its_payload():
    with pytest.raises(ProvisioningError, match="gate 'sized' could not be signalled") as refused:
        fault_matrix(Plan("gated", steps=[gate("sized", payload=int)]))
    assert refused.value.hint == "Hand in what it carries: signals={'sized': ...}."


def test_a_world_needs_to_be_made_fresh():
    cloud = Cloud()
    with pytest.raises(ProvisioningError, match="without fresh="):
        fault_matrix(good_plan(cloud), world=cloud.world)


@pytest.mark.parametrize("wrong", [{"steps": ["nothing"]}, {"faults": ["earthquake"]}])
def test_only_what_there_is_can_be_chosen(wrong):
    cloud = Cloud()
    with pytest.raises(ProvisioningError, match=r"there is no (step 'nothing'|fault 'earthquake')"):
        prove(cloud, good_plan(cloud), **wrong)
