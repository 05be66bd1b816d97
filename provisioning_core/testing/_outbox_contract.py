"""What every store that webhooks are sent from has to do."""

from __future__ import annotations

from provisioning_core.testing._store_cases.outbox import (
    ClaimCases,
    EndpointCases,
    LogCases,
    NotingCases,
    ResendCases,
    SettlingCases,
)


class OutboxContract(EndpointCases, NotingCases, ClaimCases, SettlingCases, ResendCases, LogCases):
    """Every sentence of :class:`provisioning_core.outbox.Outbox`, as a test.

    A subclass supplies the fixture ``store``: an empty one for each test, prepared, that keeps the contract of all stores.
    """
