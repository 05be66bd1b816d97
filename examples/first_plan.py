"""A first plan: two steps, and the second takes what the first one made. Run it: ``python examples/first_plan.py``."""

from pydantic import BaseModel

from provisioning_core import Engine, From, Plan, step
from provisioning_core.stores import MemoryStore


class Workspace(BaseModel):
    slug: str


@step
def database(workspace: Workspace) -> str:
    return f"db_{workspace.slug}"


@step
def site(workspace: Workspace, database: str = From(database)) -> str:
    return f"https://{workspace.slug}.example/ on {database}"


plan = Plan("workspace", input=Workspace, steps=[database, site])

if __name__ == "__main__":
    with Engine(store=MemoryStore(), plans=[plan]) as engine:
        view = engine.start("workspace", subject="acme", input=Workspace(slug="acme")).wait(timeout=10)
        print(f"{view.subject} is {view.status}: {view.steps['site'].output}")
