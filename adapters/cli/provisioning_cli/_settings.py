"""Settings of the commands that stay, from the environment: one table, of which --help, the page and the messages are made."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError

from provisioning_core import MissingExtra, ProvisioningError

try:
    from pydantic_settings import BaseSettings, SettingsConfigDict
except ModuleNotFoundError as missing:
    raise MissingExtra("cli", "Settings from the environment") from missing

PREFIX = "PROVISIONING_"
_ELSEWHERE = ("APP", "DB", "DEBUG")
"""Variables that are read by others than these settings."""
_TYPO = 0.85

S = TypeVar("S", bound="WorkerSettings")


class WorkerSettings(BaseSettings):
    """Of every command that stays."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", hide_input_in_errors=True)

    grace: float = Field(10.0, gt=0, le=3600, description="Seconds that steps under way get to end when the process is stopped.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="What is logged: debug, info, warning or error."
    )
    log_format: Literal["text", "json"] = Field("text", description="How: text, or json (one object on a line).")
    log_events: bool = Field(default=False, description="Log every event of every run, too.")
    tracing: bool = Field(default=False, description="Trace runs with OpenTelemetry; needs the extra otel and an SDK that is set up.")
    metrics_port: int | None = Field(None, ge=1, le=65535, description="Serve metrics, and nothing else, on this port, to anybody.")
    metrics_host: str = Field("127.0.0.1", min_length=1, description="The address that this port listens on.")


class ServeSettings(WorkerSettings):
    """Of ``serve``."""

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    work: bool = Field(
        default=True, description="Carry out steps; if not, only record and read, and workers elsewhere carry out the runs."
    )
    token: SecretStr | None = Field(None, description="The bearer token that every call needs. Without one, serve does not start.")
    metrics: bool | None = Field(None, description="Serve /metrics; by default if the extra metrics is installed.")
    metrics_token: SecretStr | None = Field(None, description="The token that /metrics needs, instead of the one for all calls.")
    access_log: bool = Field(default=True, description="Log every call.")
    root_path: str = Field("", description="The path under which a proxy has this server, such as /tenancy.")
    forwarded_allow_ips: str = Field("127.0.0.1", description="Proxies whose X-Forwarded headers are believed; addresses, or *.")


def read(kind: type[S], given: Mapping[str, Any]) -> S:
    """The settings; what is ``given`` on the command line (and not None) goes before the environment.

    Raises ProvisioningError that names each variable that does not fit, and what would; never what it holds, which may be a secret.
    """
    try:
        return kind(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        faults = [f"{PREFIX}{str(each['loc'][0]).upper()}: {_lower(each['msg'])}" for each in error.errors(include_input=False)]
        names = {str(each["loc"][0]) for each in error.errors(include_input=False)}
        hint = " ".join(f"{PREFIX}{name.upper()} is: {kind.model_fields[name].description}" for name in sorted(names))
        raise ProvisioningError("Settings do not fit. " + "; ".join(faults) + ".", code="not_configured", hint=hint) from None


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def likely_typos(kind: type[WorkerSettings], environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Variables that look like one of these settings and are none, each with what was probably meant."""
    known = [f"{PREFIX}{name.upper()}" for name in (*kind.model_fields, *_ELSEWHERE)]
    for name in environment:
        if name.startswith(PREFIX) and name not in known:
            for meant in difflib.get_close_matches(name, known, n=1, cutoff=_TYPO):
                yield name, meant


def table(kind: type[WorkerSettings]) -> list[tuple[str, str, str]]:
    """Each setting's variable, its default, and what it says."""
    return [
        (f"{PREFIX}{name.upper()}", _default(field.default), str(field.description))
        for name, field in sorted(kind.model_fields.items())
    ]


def _default(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def epilog(kind: type[WorkerSettings]) -> str:
    """The table for --help."""
    lines = ["\b", "Settings from the environment (an option goes first):"]
    for name, default, told in table(kind):
        lines += [f"  {name}" + (f" [{default}]" if default else ""), f"      {told}"]
    return "\n".join(lines)
