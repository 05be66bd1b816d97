"""A tenant's object storage: a folder, or a bucket where an S3 endpoint is given."""

from __future__ import annotations

import importlib
from typing import Any

from examples.workspaces.files import remove, write_whole
from examples.workspaces.models import Area
from examples.workspaces.settings import Settings
from provisioning_core import MissingExtra

MARKER = ".workspace"


def create(settings: Settings, slug: str) -> Area:
    """Make the area, or take over one that an earlier attempt made."""
    if settings.s3_endpoint:
        return _create_bucket(settings, slug)
    folder = settings.storage_folder(slug)
    write_whole(folder / MARKER, slug.encode())
    return Area(kind="folder", location=str(folder))


def find(settings: Settings, slug: str) -> Area | None:
    """The area, if it is there and complete."""
    if settings.s3_endpoint:
        there = any(bucket["Name"] == bucket_of(slug) for bucket in _s3(settings).list_buckets()["Buckets"])
        return Area(kind="s3", location=bucket_of(slug)) if there else None
    folder = settings.storage_folder(slug)
    return Area(kind="folder", location=str(folder)) if (folder / MARKER).exists() else None


def delete(settings: Settings, slug: str) -> None:
    """Remove the area with all that is in it; fine if there is none."""
    if not settings.s3_endpoint:
        remove(settings.storage_folder(slug))
    elif find(settings, slug):
        _delete_bucket(settings, slug)


def bucket_of(slug: str) -> str:
    """The name of the tenant's bucket."""
    return f"workspace-{slug}"


def _create_bucket(settings: Settings, slug: str) -> Area:
    if find(settings, slug) is None:
        _s3(settings).create_bucket(Bucket=bucket_of(slug))
    return Area(kind="s3", location=bucket_of(slug))


def _delete_bucket(settings: Settings, slug: str) -> None:
    client = _s3(settings)
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket_of(slug)):
        for entry in page.get("Contents", []):
            client.delete_object(Bucket=bucket_of(slug), Key=entry["Key"])
    client.delete_bucket(Bucket=bucket_of(slug))


def _s3(settings: Settings) -> Any:
    """A client for the endpoint; the credentials come from where boto3 always looks for them."""
    try:
        boto3 = importlib.import_module("boto3")
    except ImportError as error:
        raise MissingExtra("examples", "object storage on S3") from error
    return boto3.client("s3", endpoint_url=settings.s3_endpoint)
