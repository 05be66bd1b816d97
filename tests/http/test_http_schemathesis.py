"""Calls made from the description alone: what it promises is answered, what it forbids is refused, and nothing breaks the server.

Schemathesis makes them, one by one (bodies and parameters that fit and that don't), and in rows, along the links of an answer.
``PROVISIONING_THOROUGH=1`` makes many more.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings, strategies
from provisioning_http import Limits, _polls, bearer_token, create_app
from pydantic import BaseModel
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig

from provisioning_core import Engine, Plan, StepError, gate, step
from provisioning_core.observers.webhooks import Webhooks
from provisioning_core.stores import MemoryStore

THOROUGH = bool(os.environ.get("PROVISIONING_THOROUGH"))
TOKEN = {"Authorization": "Bearer right"}
COMMON = {"deadline": None, "derandomize": not THOROUGH, "database": None, "suppress_health_check": list(HealthCheck)}
ONE_BY_ONE = settings(max_examples=200 if THOROUGH else 5, **COMMON)
IN_ROWS = settings(max_examples=200 if THOROUGH else 15, **COMMON)
FINE = ["2xx", "3xx", 404, 406, 409, 412]
REFUSED = [400, 401, 403, 404, 406, 412, 413, 415, 422]


def _fine(*statuses: Any) -> dict[str, Any]:
    return {"checks": {"positive_data_acceptance": {"expected-statuses": [*FINE, *statuses]}}}


CONFIG = _fine() | {
    # No text may hold a NUL, which the description says in words; parameters that nobody knows are passed over.
    "generation": {"allow-x00": False, "allow-extra-parameters": False},
    "operations": [
        # A tenant's name that can't be printed; an input or output that is not the plan's.
        {"include-operation-id-regex": "_(start|retry|signal|skip|resolve)$", **_fine(422)},
        {"include-operation-id": "provisioning_events", **_fine(401)},  # a ticket that is none
        {
            "include-operation-id": "provisioning_runs",
            "checks": {
                **_fine(422)["checks"],  # a cursor that is none
                "negative_data_rejection": {"expected-statuses": [*REFUSED, 200]},  # `?status=` filters by nothing
            },
        },
        {"include-operation-id-regex": "webhook", **_fine(422)},  # no public https address; an id that is changed on its way
    ],
}
CONFIG["checks"]["negative_data_rejection"] = {"expected-statuses": REFUSED}
"""What fits the description may still not fit the run: there is none, it is in another state, it has changed."""
ASKED_NOTHING = ("provisioning_healthz", "provisioning_readyz", "provisioning_plans")
"""What takes no parameters can't be asked wrongly."""
pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")  # schemathesis' own affair


class Workspace(BaseModel):
    slug: str = "acme"


def plan() -> Plan:
    approval = gate("approval")

    @step
    def database(workspace: Workspace) -> str:
        return workspace.slug

    @step(needs=[approval])
    def mail() -> None:
        raise StepError("not now")

    return Plan("workspace", input=Workspace, steps=[database, approval, mail])


@pytest.fixture(scope="module")
def api() -> Iterator[Any]:
    """The description, of an app whose tenants are in several states. Long polls are short and streams end soon."""
    options: dict[str, Any] = {"webhooks": Webhooks(resolve=lambda *_: ["10.0.0.1"]), "secrets_key": bytes(32)}
    limits = Limits(stream_seconds=0.05, calls_per_second=None)
    with pytest.MonkeyPatch.context() as patched, Engine(store=MemoryStore(), plans=[plan()], poll=0.05, **options) as engine:
        patched.setattr(_polls, "LONGEST", 0.02)
        for tenant in ("acme", "globex"):
            engine.start("workspace", subject=tenant, input=Workspace()).wait(timeout=10)
        engine.signal("globex", "approval")
        engine.wait("globex", timeout=10)
        app = create_app(engine, authorize=bearer_token("right"), limits=limits)
        yield schemathesis.openapi.from_asgi("/openapi.json", app, config=SchemathesisConfig.from_dict(CONFIG))


def names() -> list[str]:
    """Of all operations, as they are described."""
    document = json.loads((Path(__file__).resolve().parents[2] / "docs" / "openapi.json").read_text(encoding="utf-8"))
    return [operation["operationId"] for path in document["paths"].values() for operation in path.values()]


@pytest.mark.parametrize(
    ("name", "mode"),
    [(name, mode) for name in names() for mode in GenerationMode if mode is GenerationMode.POSITIVE or name not in ASKED_NOTHING],
    ids=lambda each: getattr(each, "value", each),
)
def test_each_call_is_answered_as_described(api: Any, name: str, mode: GenerationMode) -> None:
    operation = api.find_operation_by_id(name)

    @ONE_BY_ONE
    @given(case=operation.as_strategy(generation_mode=mode))
    def answered_as_described(case: Case) -> None:
        case.call_and_validate(headers=TOKEN)

    answered_as_described()


def test_what_an_answer_links_to_is_there(api: Any) -> None:
    """A tenant is started by a made-up call; then every link of the answer is followed by one, with what the answer says."""
    start = api.find_operation_by_id("provisioning_start")
    links = start.definition.raw["responses"]["202"]["links"]
    targets = {name: api.find_operation_by_id(link["operationId"]) for name, link in links.items()}
    answered: Counter[tuple[str, int]] = Counter()

    @IN_ROWS
    @given(data=strategies.data())
    def followed(data: Any) -> None:
        first = data.draw(start.as_strategy())
        then = {name: data.draw(target.as_strategy()) for name, target in targets.items()}
        first.path_parameters = {"tenant_id": data.draw(strategies.from_regex("[a-z0-9.-]{1,20}", fullmatch=True))}
        first.body = {**first.body, "plan": "workspace", "input": {"slug": "acme"}}
        first.headers.pop("If-Match", None)
        told = first.call_and_validate(headers=TOKEN)
        for name, case in then.items() if told.status_code == 202 else ():
            said = {each: told.json()[source.rpartition("/")[2]] for each, source in links[name]["parameters"].items()}
            case.path_parameters = said
            answered[name, case.call_and_validate(headers=TOKEN).status_code] += 1

    followed()

    reached = {name for name, status in answered if status in (200, 202)}
    assert reached == set(links), answered
    missing = {name for name, status in answered if status == 404}
    assert missing <= {"rollback", "events", "timeline"}, answered  # to a step that there is not, of a run that there is not
