"""Signatures as Standard Webhooks has them: HMAC-SHA256 over id, time and body; several while a secret is being replaced."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable

from provisioning_core.errors import ProvisioningError
from provisioning_core.model import Vault

PREFIX = "whsec_"
_BYTES = 32
_PLAIN, _SEALED = "plain:", "sealed:"


def new_secret() -> str:
    """32 random bytes, as receivers' libraries take them."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def signatures(message_id: str, timestamp: int, body: bytes, keys: Iterable[str]) -> str:
    """The header's value: one signature for each secret."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(f"v1,{base64.b64encode(hmac.new(_key(key), signed, hashlib.sha256).digest()).decode()}" for key in keys)


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(PREFIX))


def sealed(secret: str, endpoint_id: str, vault: Vault | None) -> str:
    """As it is kept: encrypted, bound to its endpoint, where the engine has a key."""
    if vault is None:
        return _PLAIN + secret
    return _SEALED + vault.seal(secret.encode(), _place(endpoint_id))


def opened(kept: str, endpoint_id: str, vault: Vault | None) -> str:
    """The reverse. Raises ProvisioningError when the engine's key is missing or another one."""
    if kept.startswith(_PLAIN):
        return kept.removeprefix(_PLAIN)
    if vault is None:
        hint = "Give the engine the secrets_key that the endpoint was made with, or rotate its secret."
        raise ProvisioningError("A webhook's secret is encrypted, and the engine has no key.", code="secret_key_missing", hint=hint)
    return vault.open(kept.removeprefix(_SEALED), _place(endpoint_id)).decode()


def _place(endpoint_id: str) -> str:
    return f"webhook:{endpoint_id}"
