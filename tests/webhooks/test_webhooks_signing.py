"""Signatures as the standard's own library takes them."""

from __future__ import annotations

import os
import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from provisioning_core.errors import ProvisioningError
from provisioning_core.model import Vault
from provisioning_core.observers.webhooks._signing import new_secret, opened, sealed, signatures

BODY = '{"type":"run.succeeded","ü":"я"}'.encode()


def headers(*secrets: str, body: bytes = BODY, message_id: str = "msg_1", at: int | None = None) -> dict[str, str]:
    timestamp = int(time.time()) if at is None else at
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signatures(message_id, timestamp, body, secrets),
    }


def test_the_standards_library_takes_them() -> None:
    secret = new_secret()
    assert Webhook(secret).verify(BODY, headers(secret)) == {"type": "run.succeeded", "ü": "я"}


def test_while_a_secret_is_replaced_both_are_taken() -> None:
    old, new = new_secret(), new_secret()
    for secret in (old, new):
        assert Webhook(secret).verify(BODY, headers(new, old))
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, headers(new, old))


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp", "body"])
def test_nothing_of_what_is_signed_can_be_changed(changed: str) -> None:
    secret, body = new_secret(), BODY
    given = headers(secret)
    if changed == "body":
        body += b" "
    elif changed == "webhook-timestamp":
        given[changed] = str(int(given[changed]) + 1)
    else:
        given[changed] += "1"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, given)


def test_a_secret_is_32_random_bytes() -> None:
    import base64

    secrets = {new_secret() for _ in range(50)}
    assert len(secrets) == 50
    assert {len(base64.b64decode(secret.removeprefix("whsec_"))) for secret in secrets} == {32}


def test_the_librarys_own_signature_is_ours() -> None:
    from datetime import UTC, datetime

    secret, now = new_secret(), datetime.now(UTC).replace(microsecond=0)
    assert Webhook(secret).sign("msg_1", now, BODY.decode()) == signatures("msg_1", int(now.timestamp()), BODY, [secret])


def test_a_secret_is_kept_encrypted_and_bound_to_its_endpoint() -> None:
    secret, vault = new_secret(), Vault(os.urandom(32))
    kept = sealed(secret, "wh_1", vault)
    assert secret.removeprefix("whsec_") not in kept
    assert opened(kept, "wh_1", vault) == secret
    for endpoint_id, other in (("wh_2", vault), ("wh_1", Vault(os.urandom(32))), ("wh_1", None)):
        with pytest.raises(ProvisioningError):
            opened(kept, endpoint_id, other)


def test_without_a_key_it_is_kept_as_it_is_and_can_be_read_with_one() -> None:
    secret = new_secret()
    kept = sealed(secret, "wh_1", None)
    assert opened(kept, "wh_1", None) == opened(kept, "wh_1", Vault(os.urandom(32))) == secret
