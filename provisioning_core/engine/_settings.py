"""What an engine is made of, checked before anything begins."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass

from provisioning_core.errors import ProvisioningError
from provisioning_core.model import Plan, Vault
from provisioning_core.ports import AnyObserver, Clock, StatusHook, Store, SystemClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The engine's arguments. Raises ProvisioningError when they can't work together."""

    store: Store
    plans: tuple[Plan, ...]
    executor: Executor | None
    max_workers: int
    limits: Mapping[str, int]
    secrets_key: bytes | None
    lease: float
    heartbeat: float | None
    quarantine: float | None
    on_status: StatusHook | None
    on_lease_lost: str
    observers: tuple[AnyObserver, ...]
    work: bool
    poll: float
    clock: Clock | None

    def __post_init__(self) -> None:
        for problem, hint in (*self._numbers(), *self._plans()):
            raise ProvisioningError(problem, code="bad_engine", hint=hint)

    def _numbers(self) -> list[tuple[str, str]]:
        found = []
        if self.max_workers < 1:
            found.append((f"max_workers={self.max_workers} is too few.", "Give it at least 1."))
        if not self.lease > 0 or not self.poll > 0:
            found.append((f"lease={self.lease:g} and poll={self.poll:g} must be seconds above 0.", "The defaults are 30 and 0.5."))
        if self.heartbeat is not None and not 0 < self.heartbeat <= self.lease / 2:
            found.append((f"heartbeat={self.heartbeat:g} does not keep a lease of {self.lease:g} s.", "At most half of the lease."))
        if self.quarantine is not None and self.quarantine < 0:
            found.append((f"quarantine={self.quarantine:g} must not be negative.", "The default is the lease."))
        if self.on_lease_lost not in ("stop", "exit"):
            found.append((f"on_lease_lost={self.on_lease_lost!r} is unknown.", "Say stop or exit."))
        found.extend((f"limit {name!r} is {most}.", "Give it at least 1.") for name, most in self.limits.items() if most < 1)
        return found

    def _plans(self) -> list[tuple[str, str]]:
        found, names = [], set()
        for plan in self.plans:
            if plan.name in names:
                found.append((f"two plans are called {plan.name!r}.", "Give each a name of its own."))
            names.add(plan.name)
            if plan.has_transactional and not self.store.has_sessions:
                hint = "Use SqlStore, or don't declare the steps transactional."
                found.append((f"plan {plan.name!r} has transactional steps, and this store has no transactions for them.", hint))
            if plan.has_secrets and self.secrets_key is None:
                hint = "Hand in secrets_key=, 32 random bytes that you keep (os.urandom(32))."
                found.append((f"plan {plan.name!r} has secrets, and the engine has no key to encrypt them.", hint))
        return found

    @property
    def renew_every(self) -> float:
        """Seconds between two renewals of the lease."""
        return self.lease / 3 if self.heartbeat is None else self.heartbeat

    @property
    def quarantine_or_lease(self) -> float:
        """Seconds after which an engine on another host whose lease ran out is taken for gone."""
        return self.lease if self.quarantine is None else self.quarantine

    def by_name(self) -> dict[str, Plan]:
        """The plans by name."""
        return {plan.name: plan for plan in self.plans}

    def vault(self) -> Vault | None:
        """What encrypts secrets. Raises ProvisioningError for a key of the wrong length, MissingExtra without the extra."""
        if self.secrets_key is None:
            return None
        try:
            return Vault(self.secrets_key)
        except ValueError as error:
            raise ProvisioningError(str(error), code="bad_secrets_key") from error

    def clock_or_system(self) -> Clock:
        """The clock handed in, or the system's."""
        return self.clock or SystemClock()
