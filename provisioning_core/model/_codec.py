"""Values in and out of the store: validated strictly, as canonical JSON, secrets sealed.

``json`` lets NaN, lone surrogates and NUL through, and pydantic turns NaN into null and keys of any type into strings without a word;
so the value is walked before it is trusted, and every refusal names the path and never shows the value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, Secret, SecretBytes, SecretStr, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_jsonable_python

from provisioning_core.errors import ProvisioningError
from provisioning_core.model._aliases import one_way_fields
from provisioning_core.model._json_tree import (
    SECRET,
    EncodingFault,
    check,
    encode_json,
    is_json_like,
    is_marker,
    mapped,
    replaced,
    utf8,
)
from provisioning_core.model._secrets import Vault
from provisioning_core.model._views import MASK

MAX_BYTES = 1024 * 1024
"""The largest value that is stored, as JSON."""

_MEND_READING = "give its fields one alias for both ways, and its serializers a form that its validators take"
_ATOMS = (type(None), bool, int)
"""What needs no look."""
_PLAIN = (*_ATOMS, str)
"""What pydantic neither refuses nor changes where the annotation is the type itself, or says nothing."""
_Seal = Callable[[bytes, str], Any]


class Codec:
    """Knows how to store values of one type."""

    def __init__(self, annotation: Any) -> None:
        self.annotation = type(None) if annotation is None else annotation
        self._adapter: TypeAdapter[Any] = TypeAdapter(self.annotation)
        self._plain = tuple(each for each in _PLAIN if self.annotation in (Any, each))
        self.one_way = one_way_fields(self._adapter.core_schema)
        """Fields that would be lost, as they are written under a name that is not read."""
        self.schema: dict[str, Any] = self._adapter.json_schema()
        """JSON schema of the type."""
        text = json.dumps(self.schema, sort_keys=True)
        self.has_secrets = '"writeOnly": true' in text or '"format": "password"' in text
        self.schema_digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        """Equal digests read each other's values; where they differ, :meth:`reads` can tell."""

    def encode(self, value: Any, *, vault: Vault | None = None, bound_to: str = "") -> str:
        """The value as canonical JSON text, secrets sealed. Raises EncodingFault, also when it could not be decoded again."""

        def seal(plain: bytes, path: str) -> str:
            if vault is None:
                raise EncodingFault(path, "a secret, and the engine has no key to encrypt it with")
            return vault.seal(plain, f"{bound_to}{path}")

        text = self._text(value, seal)
        if len(text) > MAX_BYTES // 4 and len(text.encode()) > MAX_BYTES:
            raise EncodingFault("$", f"{len(text.encode()):,} bytes as JSON; {MAX_BYTES:,} are allowed")
        if type(value) not in self._plain:
            self._check_that_it_comes_back(text, vault, bound_to)
        return text

    def _check_that_it_comes_back(self, text: str, vault: Vault | None, bound_to: str) -> None:
        """Now, while it is the step's fault; not when another step wants the value. A twentieth of what encoding costs."""
        try:
            self.decode(text, vault=vault, bound_to=bound_to)
        except ValidationError as error:
            raise EncodingFault(_place(error), f"its type can't read what it writes ({_kind(error)}); {_MEND_READING}") from None
        except Exception as error:  # noqa: BLE001  a model's own validators may raise anything
            raise EncodingFault("$", f"its type can't read what it writes ({type(error).__name__}); {_MEND_READING}") from None

    def decode(self, text: str, *, vault: Vault | None = None, bound_to: str = "") -> Any:
        """The typed value. Raises ProvisioningError when a secret can't be opened, ValueError when the text does not fit the type."""
        if SECRET not in text:
            return self._adapter.validate_json(text)

        def unseal(sealed: str, path: str) -> str | bytes:
            if vault is None:
                hint = "Give the engine the secrets_key= that the run was started with."
                raise ProvisioningError("a secret can't be read without its key.", code="secret_key_missing", hint=hint)
            return _text_or_bytes(vault.open(sealed, f"{bound_to}{path}"))

        plain = replaced(json.loads(text), unseal)
        try:
            opened = json.dumps(plain)
        except TypeError:  # a secret that is no text, which JSON can't hold
            return self._adapter.validate_python(plain)
        return self._adapter.validate_json(opened)

    def reads(self, text: str, *, vault: Vault | None = None, bound_to: str = "") -> bool:
        """Whether a stored value fits the type. Also True when that can't be told, as a secret in it can't be opened."""
        try:
            self.decode(text, vault=vault, bound_to=bound_to)
        except ProvisioningError:
            return True
        except Exception:  # noqa: BLE001  a model's own validators may raise anything
            return False
        return True

    def validate(self, value: Any) -> Any:
        """A value that came from outside, typed. Raises pydantic's ValidationError, or EncodingFault."""
        if isinstance(value, BaseModel) or not is_json_like(value):
            return self._adapter.validate_python(value)
        check(value)
        try:
            text = json.dumps(value)
        except TypeError:  # it holds Python's own types: dates, sets, models
            return self._adapter.validate_python(value)
        return self._adapter.validate_json(text)

    def digest(self, value: Any, *, vault: Vault | None = None, text: str | None = None) -> str:
        """Tells equal values from different ones without giving them away. ``text``: as :meth:`encode` wrote it, if at hand."""
        if text is None or self.has_secrets:  # a sealed secret is another text each time
            text = self._text(value, lambda plain, _: _told_apart(plain))
        document = json.loads(text)
        data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
        return vault.mac(data) if vault is not None and self.has_secrets else hashlib.sha256(data).hexdigest()

    def _text(self, value: Any, seal: _Seal) -> str:
        plain = value if type(value) in self._plain else self._dumped(value)
        if type(plain) in _ATOMS:
            return encode_json(plain)
        check(plain)
        return encode_json(self._sealed(plain, seal))

    def _dumped(self, value: Any) -> Any:
        try:
            self._adapter.validate_python(value, strict=True)
            return self._adapter.dump_python(value, by_alias=True, round_trip=True, warnings="error")
        except ValidationError as error:
            raise _misfit(error) from None
        except PydanticSerializationError as error:
            raise EncodingFault("$", "its type is not the declared one, or it is circular") from error
        except (RecursionError, ValueError) as error:
            raise EncodingFault("$", "circular, or nested too deeply") from error
        except TypeError as error:  # what a set held can't be in a set any more
            raise EncodingFault("$", "a set of models can't be stored; make it a list") from error

    def _sealed(self, plain: Any, seal: _Seal) -> Any:
        """JSON values only: leaves as pydantic writes them, secrets sealed, look-alikes of sealed secrets escaped."""

        def leaf(value: Any, path: str) -> Any:
            if isinstance(value, SecretStr | SecretBytes):
                if not self.has_secrets:
                    raise EncodingFault(path, "a secret where the annotation names none; annotate it as SecretStr")
                return {SECRET: seal(_secret_bytes(value, path), path)}
            if isinstance(value, Secret):
                raise EncodingFault(path, "only SecretStr and SecretBytes are stored, no Secret of another type")
            try:
                return to_jsonable_python(value)
            except (PydanticSerializationError, UnicodeDecodeError, ValueError):
                raise EncodingFault(path, f"a value of type {type(value).__name__} can't be stored as JSON") from None

        return mapped(plain, leaf, lambda key: f"${key}" if is_marker(key) else key)


def masked(text: str | None) -> Any:
    """A stored value as callers may see it: every secret shown as ``**********``."""
    if text is None:
        return None
    value = from_json(text)
    return replaced(value, lambda sealed, path: MASK) if SECRET in text else value  # noqa: ARG005


def _misfit(error: ValidationError) -> EncodingFault:
    return EncodingFault(_place(error), f"does not fit the declared type: {_kind(error)}")


def _place(error: ValidationError) -> str:
    return _path(error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"])


def _kind(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{first['type'].replace('_', ' ')}{more}"


def _path(location: tuple[int | str, ...]) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def _secret_bytes(secret: SecretStr | SecretBytes, path: str) -> bytes:
    value = secret.get_secret_value()
    return value if isinstance(value, bytes) else utf8(value, path)


def _text_or_bytes(raw: bytes) -> str | bytes:
    """What a secret holds; pydantic makes the same SecretBytes of a text and of its UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _told_apart(raw: bytes) -> Any:
    """A secret's bytes for a digest: another JSON value for each."""
    value = _text_or_bytes(raw)
    return value if isinstance(value, str) else {"bytes": value.hex()}
