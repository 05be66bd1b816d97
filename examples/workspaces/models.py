"""What goes into the plan and what its steps hand on."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr

Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,29}[a-z0-9]$")]


class Workspace(BaseModel):
    """The plan's input: what the signup form asks for."""

    slug: Slug
    company: str = Field(min_length=1, max_length=100)
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=200)


class Tenant(BaseModel):
    """The tenant's place among the others."""

    slug: str
    host: str


class Database(BaseModel):
    """The tenant's database: a SQLite file of its own, or a schema and a role on PostgreSQL."""

    kind: str
    name: str
    role: str = ""
    password: SecretStr | None = None


class Area(BaseModel):
    """The tenant's object storage."""

    kind: str
    location: str


class Certificate(BaseModel):
    """Where the certificate and its key are; the key itself never enters the store."""

    host: str
    certificate: str
    key: str
    fingerprint: str
    not_after: datetime


class VirtualHost(BaseModel):
    """One virtual host, as its configuration file has it."""

    host: str
    root: str
    certificate: str
    key: str


class Customer(BaseModel):
    """The customer at the billing service."""

    id: str


class Admin(BaseModel):
    """The first user. The password is encrypted at rest and masked everywhere else."""

    email: str
    password: SecretStr


class Site(BaseModel):
    """The tenant's published site."""

    host: str
    title: str
