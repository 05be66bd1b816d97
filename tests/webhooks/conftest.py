"""A receiver and certificates for the tests of webhooks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from webhook_certificates import Certificates, make_certificates
from webhook_receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("ca"))
