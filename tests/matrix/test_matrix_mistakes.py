"""Each classic mistake of a plan is found, and the sentence says which it is and how to mend it."""

import asyncio

import pytest
from matrix_cloud import Cloud

from provisioning_core import NotReady, Plan, Retry, Step, StepContext, step
from provisioning_core.testing import fault_matrix
from provisioning_core.testing._matrix_result import Problem, Verdict

LEFT, REPEATED, LOST, STUCK = Verdict.LEFT_BEHIND, Verdict.REPEATED, Verdict.LOST, Verdict.STUCK


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def problems(cloud: Cloud, *steps: Step, has_world: bool = True, **options) -> dict[tuple[str, Verdict], list[Problem]]:
    """What the matrix finds, by step and kind."""
    options |= {"world": cloud.world} if has_world else {}
    found: dict[tuple[str, Verdict], list[Problem]] = {}
    for problem in fault_matrix(Plan("flawed", steps=steps), fresh=cloud.fresh, **options).problems:
        found.setdefault((problem.step, problem.kind), []).append(problem)
    return found


def faults(found: list[Problem]) -> set[str]:
    return {problem.fault for problem in found}


# made twice


def test_a_create_that_is_not_idempotent(cloud: Cloud):
    @step(retry=Retry(attempts=3))
    def bucket(ctx: StepContext) -> str:
        name = cloud.add("bucket")
        ctx.record("bucket", name)
        return name

    @bucket.compensate
    def delete_buckets(ctx: StepContext) -> None:
        for each in ctx.resources:
            cloud.remove(each.id)

    found = problems(cloud, bucket)
    repeated = found["bucket", REPEATED]
    assert faults(repeated) == {"fails once", "killed during", "runs twice"}
    twice = next(problem for problem in repeated if problem.fault == "runs twice")
    assert twice.what.startswith("it made a second one when it ran twice: there are 'bucket-")
    assert twice.mend.startswith("Name it after ctx.idempotency_key (or hand that to the provider), or look before you create")


def test_without_a_world_it_is_found_in_the_ledger(cloud: Cloud):
    @step
    def bucket(ctx: StepContext) -> None:
        ctx.record("bucket", cloud.add("bucket"))

    @bucket.compensate
    def delete_buckets() -> None: ...

    assert ("bucket", REPEATED) in problems(cloud, bucket, has_world=False)


def test_rows_that_are_added_twice(cloud: Cloud):
    @step(timeout=10)
    def seed() -> None:
        cloud.things["rows"] = cloud.things.get("rows", 0) + 4

    @seed.compensate
    def unseed() -> None:
        cloud.remove("rows")

    found = problems(cloud, seed)
    assert faults(found["seed", REPEATED]) == {"fails once", "late", "runs twice"}
    assert "'rows' (8 times)" in found["seed", REPEATED][0].what


def test_a_create_that_raises_when_it_is_there(cloud: Cloud):
    @step(retry=Retry(attempts=3))
    def bucket() -> None:
        cloud.create("bucket")

    @bucket.compensate
    def delete_bucket() -> None:
        cloud.remove("bucket")

    [first, *rest] = problems(cloud, bucket)["bucket", STUCK]
    assert faults([first, *rest]) == {"fails once", "runs twice"}
    assert first.what == (
        "it is FAILED for good when it was tried again after it had failed with its work done: KeyError: 'bucket exists already'"
    )
    assert "'exists already' is no failure" in first.mend


# not undone


def test_a_compensation_that_raises_on_missing(cloud: Cloud):
    @step
    def bucket() -> None:
        cloud.put("bucket")

    @bucket.compensate
    def delete_bucket() -> None:
        cloud.delete("bucket")

    found = problems(cloud, bucket)
    assert set(found) == {("bucket", STUCK)}
    assert faults(found["bucket", STUCK]) == {"fails", "undo twice"}
    for problem in found["bucket", STUCK]:
        assert problem.what == "its compensation raises when there is nothing (more) to undo: KeyError: 'bucket'"
        assert problem.mend.startswith("Let it treat 'not found' as done")


def test_a_compensation_that_raises_without_an_output(cloud: Cloud):
    @step
    def bucket() -> str:
        return cloud.put("bucket")

    @bucket.compensate
    def delete_bucket(output: str | None) -> None:
        assert output is not None, "which one?"
        cloud.remove(output)

    late = next(problem for problem in problems(cloud, bucket)["bucket", STUCK] if problem.fault == "fails late")
    assert late.what == "its compensation raises when it gets no output: AssertionError: which one?"
    assert "output is None after a crash" in late.mend


def test_a_compensation_that_does_nothing_without_an_output(cloud: Cloud):
    @step
    def bucket() -> str:
        return cloud.put("bucket")

    @bucket.compensate
    def delete_bucket(output: str | None) -> None:
        if output is not None:
            cloud.remove(output)

    found = problems(cloud, bucket)
    assert set(found) == {("bucket", LEFT)}
    [late] = found["bucket", LEFT]
    assert late.fault == "fails late"
    assert late.what.startswith("its compensation left 'bucket' after it had failed with its work done: it got no output")
    assert late.mend.startswith("Undo by what is always there: the input, ctx.resources")


def test_a_compensation_that_always_raises(cloud: Cloud):
    @step
    def bucket() -> str:
        return cloud.put("bucket")

    @bucket.compensate
    def delete_bucket(output: str | None) -> None:
        raise PermissionError("may not delete")

    found = problems(cloud, bucket, faults=["undone", "undo twice"])
    assert set(found) == {("bucket", STUCK)}
    assert (
        found["bucket", STUCK][0].what == "its compensation raises, so that the run can't be undone: PermissionError: may not delete"
    )


def test_a_compensation_that_forgets_a_part(cloud: Cloud):
    @step
    def site() -> str:
        cloud.put("folder")
        return cloud.put("site")

    @site.compensate
    def remove_site(output: str | None) -> None:
        cloud.remove("site")

    found = problems(cloud, site)
    assert [problem.fault for problem in found["site", LEFT]] == ["undone"], "known from the run without a fault; told once"
    assert found["site", LEFT][0].what == "its compensation ran, and 'folder' is left in a run without a fault"


def test_a_step_with_an_effect_and_no_compensation(cloud: Cloud):
    @step
    def bucket() -> None:
        cloud.put("bucket")

    found = problems(cloud, bucket)
    assert set(found) == {("bucket", LEFT)}
    [undone] = found["bucket", LEFT]
    assert undone.fault == "undone"
    assert undone.what == "it made 'bucket', has no compensation, and the run says ROLLED_BACK"
    assert undone.mend.startswith("Declare its @compensate; or irreversible=True")


def test_without_a_world_the_ledger_shows_that_nothing_undoes_it(cloud: Cloud):
    @step
    def bucket(ctx: StepContext) -> None:
        ctx.record("bucket", cloud.put("bucket"))

    assert problems(cloud, bucket, has_world=False)["bucket", LEFT][0].what.startswith("it made 'bucket bucket', has no compensation")


def test_a_resource_that_is_recorded_after_it_was_made(cloud: Cloud):
    @step
    def bucket(ctx: StepContext) -> None:
        if not ctx.resources:
            ctx.record("bucket", cloud.add("bucket"))

    @bucket.compensate
    def delete_buckets(ctx: StepContext) -> None:
        for each in ctx.resources:
            cloud.remove(each.id)

    found = problems(cloud, bucket)
    assert set(found) == {("bucket", REPEATED), ("bucket", LEFT)}
    [again], [left] = found["bucket", REPEATED], found["bucket", LEFT]
    assert again.fault == left.fault == "killed during"
    assert again.what.startswith("it had made a thing it had not written down when it was killed, and made another")
    assert left.what.startswith("it was killed when it had made 'bucket-")
    assert left.mend.startswith("Choose its name first, ctx.record it, then create it")


def test_a_resource_that_is_recorded_and_taken_for_made(cloud: Cloud):
    @step
    def bucket(ctx: StepContext) -> None:
        if not ctx.resources:
            ctx.record("bucket", "bucket")
            cloud.put("bucket")

    @bucket.compensate
    def delete_bucket() -> None:
        cloud.remove("bucket")

    [problem] = problems(cloud, bucket)["bucket", LOST]
    assert problem.fault == "killed during"
    assert problem.what.startswith("it says that it is done, and what it makes is not there")


def test_an_async_create_that_is_killed_while_it_waits(cloud: Cloud):
    @step
    async def bucket(ctx: StepContext) -> None:
        cloud.add("bucket") if ctx.attempt == 1 else cloud.put("bucket")
        await asyncio.sleep(0)

    @bucket.compensate
    def delete_buckets() -> None:
        cloud.things.clear()

    assert "killed during" in faults(problems(cloud, bucket)["bucket", REPEATED])


def test_a_compensation_that_is_left_out_after_a_failure(cloud: Cloud):
    @step(compensate_on="probe")
    def bucket() -> None:
        cloud.put("bucket")

    @bucket.compensate
    def delete_bucket() -> None:
        cloud.remove("bucket")

    @bucket.probe
    def find_bucket() -> bool:
        return False

    [problem] = problems(cloud, bucket, faults=["fails late"])["bucket", LEFT]
    assert problem.what == "it was not compensated after it had failed with its work done, as its probe did not find 'bucket'"
    assert problem.mend.endswith("or say compensate_on='started'")


def test_a_compensation_that_takes_away_what_is_not_its_own(cloud: Cloud):
    def fresh() -> None:
        cloud.things = {"the other tenant's": 1}

    @step
    def bucket() -> None:
        cloud.put("bucket")

    @bucket.compensate
    def delete_all() -> None:
        cloud.things.clear()

    matrix = fault_matrix(Plan("greedy", steps=[bucket]), world=cloud.world, fresh=fresh)
    [problem] = matrix.problems
    assert (problem.step, problem.kind, problem.fault) == ("bucket", LOST, "undone")
    assert problem.what == 'it took away "the other tenant\'s", which was there before the run'


# said to be done


def test_a_step_that_returns_when_it_is_asked_to_end(cloud: Cloud):
    @step
    def bucket(ctx: StepContext) -> None:
        if not ctx.cancelled():
            cloud.put("bucket")

    @bucket.compensate
    def delete_bucket() -> None:
        cloud.remove("bucket")

    [problem] = problems(cloud, bucket)["bucket", LOST]
    assert problem.fault == "closed"
    assert problem.what == "it returned as if it were done when it was asked to end, as by a deploy, and what it makes is not there"
    assert "returning says that it is done" in problem.mend


def test_an_async_step_that_swallows_its_cancellation(cloud: Cloud):
    @step
    async def bucket() -> None:
        try:
            await asyncio.sleep(0)
            cloud.put("bucket")
        except asyncio.CancelledError:
            pass

    @bucket.compensate
    async def delete_bucket() -> None:
        cloud.remove("bucket")

    found = problems(cloud, bucket)
    assert set(found) == {("bucket", LOST)}
    assert faults(found["bucket", LOST]) == {"closed"}


def test_one_that_lets_it_through_is_run_again(cloud: Cloud):
    @step
    async def bucket() -> None:
        await asyncio.sleep(0)
        cloud.put("bucket")

    @bucket.compensate
    async def delete_bucket() -> None:
        cloud.remove("bucket")

    assert problems(cloud, bucket) == {}


def test_a_step_whose_second_attempt_loses_what_the_first_one_made(cloud: Cloud):
    @step
    def bucket(ctx: StepContext) -> None:
        cloud.remove("bucket") if ctx.attempt > 1 else cloud.put("bucket")

    @bucket.compensate
    def delete_bucket() -> None:
        cloud.remove("bucket")

    lost = problems(cloud, bucket)["bucket", LOST]
    assert lost[0].what.startswith("it says that it is done, and what it makes is not there")


# probes that lie


def probed(cloud: Cloud, answer) -> Step:
    @step(retry=Retry(attempts=3))
    def bucket() -> str:
        return cloud.put("bucket")

    @bucket.compensate
    def delete_bucket() -> None:
        cloud.remove("bucket")

    @bucket.probe
    def find_bucket() -> str | None:
        return answer()

    return bucket


def test_a_probe_that_finds_what_is_not_there(cloud: Cloud):
    found = problems(cloud, probed(cloud, lambda: "bucket"))
    assert set(found) == {("bucket", LOST)}
    assert {"killed before"} <= faults(found["bucket", LOST])
    assert found["bucket", LOST][0].what == "its probe found it although it was never done, so that the run went on without it"


def test_it_is_found_without_a_world_too(cloud: Cloud):
    assert ("bucket", LOST) in problems(cloud, probed(cloud, lambda: "bucket"), has_world=False)


def test_a_probe_that_does_not_find_what_is_there(cloud: Cloud):
    found = problems(cloud, probed(cloud, lambda: None))
    assert set(found) == {("bucket", REPEATED)}
    assert found["bucket", REPEATED][0].what.startswith(
        "its probe did not find what an attempt had done to the end, though 'bucket' is there"
    )


def test_a_probe_that_gives_another_output(cloud: Cloud):
    found = problems(cloud, probed(cloud, lambda: "pail" if cloud.things else None))
    assert set(found) == {("bucket", LOST)}
    assert found["bucket", LOST][0].what.startswith("its probe found it and gave another output than the step had returned")


def test_a_probe_whose_lie_the_record_believes(cloud: Cloud):
    @step(timeout=10)
    def bucket() -> None:
        cloud.put("bucket")

    @bucket.compensate
    def delete_bucket() -> None:
        cloud.remove("bucket")

    @bucket.probe
    def find_bucket() -> bool:
        return False

    found = problems(cloud, bucket, faults=["late"])
    assert found["bucket", LEFT][0].what == "'bucket' is there, and the run's record says that the step (FAILED) has no effect"


# that do not end


def test_a_step_that_polls_for_ever_once_it_was_killed(cloud: Cloud):
    @step
    def bucket(ctx: StepContext) -> None:
        if ctx.attempt > 1:
            raise NotReady(after=1)
        cloud.put("bucket")

    @bucket.compensate
    def delete_bucket() -> None:
        cloud.remove("bucket")

    [problem] = problems(cloud, bucket, faults=["runs twice"])["bucket", STUCK]
    assert problem.what == "the run did not come to rest"


def test_a_flaw_of_one_step_is_told_of_that_step(cloud: Cloud):
    @step
    def bucket() -> None:
        cloud.put("bucket")

    @step(needs=[bucket])
    def site() -> None:
        cloud.put("site")

    @site.compensate
    def remove_site() -> None:
        cloud.remove("site")

    assert set(problems(cloud, bucket, site)) == {("bucket", LEFT)}


def test_and_told_once_when_another_steps_compensation_fails(cloud: Cloud):
    @step
    def bucket() -> None:
        cloud.put("bucket")

    @bucket.compensate
    def delete_bucket() -> None:
        cloud.remove("bucket")

    @step(needs=[bucket])
    def site() -> None:
        cloud.put("site")

    assert faults(problems(cloud, bucket, site)["site", LEFT]) == {"undone"}


def test_a_step_behind_one_that_cannot_be_undone_is_not_tried(cloud: Cloud):
    @step
    def bucket() -> None:
        cloud.put("bucket")

    @bucket.compensate
    def delete_bucket() -> None:
        cloud.remove("bucket")

    @step(needs=[bucket])
    def site() -> None: ...

    @site.compensate
    def remove_site() -> None:
        raise PermissionError("may not delete")

    found = problems(cloud, bucket, site, faults=["undo twice", "undone"])
    assert set(found) == {("site", STUCK)}
