"""What every store has to do."""

from __future__ import annotations

from provisioning_core.testing._store_cases.claiming import ClaimingCases, ClaimingOneCases, ShelvingCases
from provisioning_core.testing._store_cases.committing import CommittingCases
from provisioning_core.testing._store_cases.creating import CreatingCases
from provisioning_core.testing._store_cases.leasing import LeasingCases
from provisioning_core.testing._store_cases.opening import OpeningCases
from provisioning_core.testing._store_cases.reading import ListingCases, ReadingCases
from provisioning_core.testing._store_cases.refusing import RuleCases, StaleWriterCases
from provisioning_core.testing._store_cases.repeating import RepeatingCases
from provisioning_core.testing._store_cases.requesting import RequestingCases
from provisioning_core.testing._store_cases.telling import TellingCases


class StoreContract(
    OpeningCases,
    CreatingCases,
    CommittingCases,
    StaleWriterCases,
    RuleCases,
    RepeatingCases,
    TellingCases,
    RequestingCases,
    LeasingCases,
    ClaimingCases,
    ClaimingOneCases,
    ShelvingCases,
    ReadingCases,
    ListingCases,
):
    """Every sentence of :class:`provisioning_core.ports.Store`, as a test.

    A subclass supplies the fixture ``store``: an empty one for each test, prepared. No test waits for time to pass: an engine that
    has to be dead is registered with a time that is over.
    """
