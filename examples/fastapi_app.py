"""A plan behind FastAPI, in five lines. Run it: ``uvicorn examples.fastapi_app:app``, then

curl -X POST -H "Authorization: Bearer $PROVISIONING_TOKEN" -H "Content-Type: application/json" \\
     -d '{"plan": "workspace", "input": {"slug": "acme"}}' localhost:8000/provisioning/tenants/acme/start
"""

import os
import secrets

from fastapi import FastAPI
from provisioning_http import bearer_token, create_router

from examples.first_plan import plan
from provisioning_core import Engine
from provisioning_core.stores import SqlStore

TOKEN = os.environ.get("PROVISIONING_TOKEN") or secrets.token_urlsafe(32)

engine = Engine(store=SqlStore(os.environ.get("PROVISIONING_DATABASE_URL", "sqlite:///provisioning.db")), plans=[plan])
app = FastAPI(title="My product")
app.include_router(create_router(engine, authorize=bearer_token(TOKEN)))
