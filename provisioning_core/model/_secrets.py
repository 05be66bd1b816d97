"""Secrets at rest: AES-GCM with a key that the engine is given, bound to where the secret stands."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from provisioning_core.errors import MissingExtra, ProvisioningError
from provisioning_core.model._views import MASK

_NONCE = 12
_SHORTEST = 4


class Vault:
    """Seals and opens secrets. ``key``: 16, 24 or 32 random bytes, else ValueError. Raises MissingExtra without `cryptography`."""

    def __init__(self, key: bytes) -> None:
        if not isinstance(key, bytes) or len(key) not in (16, 24, 32):
            raise ValueError("the secrets key must be 16, 24 or 32 bytes; os.urandom(32) makes one")
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as error:
            raise MissingExtra("secrets", "encrypting secrets at rest") from error
        self._cipher = AESGCM(key)
        self._mac_key = hmac.new(key, b"provisioning_core digest", hashlib.sha256).digest()
        self.key_id = hashlib.sha256(key).hexdigest()[:8]
        """Tells keys apart without giving them away."""

    def seal(self, plain: bytes, bound_to: str) -> str:
        """Encrypt, bound to a place: moved anywhere else it can't be opened."""
        nonce = os.urandom(_NONCE)
        sealed = self._cipher.encrypt(nonce, plain, bound_to.encode())
        return f"{self.key_id}:{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, bound_to: str) -> bytes:
        """The reverse. Raises ProvisioningError when the key is another, or the text was changed or moved."""
        key_id, _, text = sealed.partition(":")
        if key_id != self.key_id:
            raise ProvisioningError(
                f"a secret was encrypted with the key {key_id}, and this engine has {self.key_id}.",
                code="secret_key_mismatch",
                hint="Give the engine the key that the run was started with.",
            )
        try:
            raw = base64.b64decode(text, validate=True)
            return self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], bound_to.encode())
        except Exception as error:
            raise ProvisioningError("a secret can't be read: it was changed, or moved.", code="secret_unreadable") from error

    def mac(self, data: bytes) -> str:
        """A keyed digest: tells equal data from different without giving it away."""
        return hmac.new(self._mac_key, data, hashlib.sha256).hexdigest()


def secrets_in(value: Any) -> list[str]:
    """The plain text of all secrets in a value, those too short to be told from other text left out."""
    return [text for text in _walk(value) if len(text) >= _SHORTEST]


def mask_in(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret masked, longest first."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def _shown(raw: bytes) -> str:
    """As a text that holds it would have it: as text, or as Python writes bytes."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return repr(raw)[2:-1]


def _walk(value: Any) -> Iterator[str]:
    todo = [value]
    while todo:
        match todo.pop():
            case SecretStr() as secret:
                yield secret.get_secret_value()
            case SecretBytes() as secret:
                yield _shown(secret.get_secret_value())
            case BaseModel() as model:
                todo.extend(getattr(model, name) for name in type(model).model_fields)
                todo.extend((model.model_extra or {}).values())
            case Mapping() as mapping:
                todo.extend(mapping.values())
            case list() | tuple() | set() | frozenset() as items:
                todo.extend(items)
            case item if dataclasses.is_dataclass(item) and not isinstance(item, type):
                todo.extend(getattr(item, field.name) for field in dataclasses.fields(item))
