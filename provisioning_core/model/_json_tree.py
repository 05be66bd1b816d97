"""A value on its way to JSON, as the tree that it is: checked, and made again with other leaves and keys."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import SecretBytes, SecretStr
from pydantic_core import PydanticSerializationError, to_jsonable_python

MAX_DEPTH = 100
"""The deepest nesting that is stored."""
SECRET = "$secret"  # noqa: S105  a marker, not a secret
encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Canonical, but for the order of keys."""


class EncodingFault(ValueError):
    """A value can't be stored; ``path`` says where (``$.rows[3].name``), ``problem`` why."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem

    def __reduce__(self) -> tuple[Any, ...]:
        return EncodingFault, (self.path, self.problem)


def is_json_like(value: Any) -> bool:
    """Whether JSON has a value of that kind; not whether all that it holds has one."""
    return value is None or isinstance(value, str | int | float | bool | list | dict)


def _children(value: Any, path: str) -> Iterator[tuple[Any, str]]:
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield child, f"{path}.{key}"
    elif isinstance(value, list | tuple | set | frozenset):
        for number, child in enumerate(value):
            yield child, f"{path}[{number}]"


def check(value: Any) -> None:
    """Refuse what would be changed in silence on its way through JSON. No recursion: the depth is what is checked."""
    todo: list[tuple[Any, str, int]] = [(value, "$", 0)]
    while todo:
        item, path, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise EncodingFault("$", f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(item, float) and not math.isfinite(item):
            raise EncodingFault(path, f"{item} is no JSON number")
        if isinstance(item, str):
            _check_text(item, path)
        if isinstance(item, Mapping):
            _check_keys(item, path)
        todo.extend((child, where, depth + 1) for child, where in _children(item, path))


def _check_text(text: str, path: str) -> None:
    if "\x00" in text:
        raise EncodingFault(path, "a text with a NUL character")
    if not text.isascii():
        utf8(text, path)


def utf8(text: str, path: str) -> bytes:
    """As bytes. Raises EncodingFault for what is no text."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise EncodingFault(path, "a text with half a surrogate pair") from None


def _check_keys(mapping: Mapping[Any, Any], path: str) -> None:
    for key in mapping:
        if not isinstance(key, str):
            raise EncodingFault(path, f"a key of type {type(key).__name__}; JSON's keys are texts")
        _check_text(key, path)


def is_marker(key: str) -> bool:
    """Whether a key of data looks like the mark of a sealed secret, or like one that was escaped."""
    return key.endswith("secret") and key.startswith("$") and key.lstrip("$") == "secret"


def mapped(value: Any, leaf: Callable[[Any, str], Any], rename: Callable[[str], str], path: str = "$") -> Any:
    """The same tree with other leaves and keys; at most MAX_DEPTH deep."""
    if isinstance(value, Mapping):
        return {rename(str(key)): mapped(child, leaf, rename, f"{path}.{key}") for key, child in value.items()}
    if isinstance(value, set | frozenset):
        value = sorted(value, key=_order)
    if isinstance(value, list | tuple):
        return [mapped(child, leaf, rename, f"{path}[{number}]") for number, child in enumerate(value)]
    return leaf(value, path)


def _order(member: Any) -> str:
    """Puts the members of a set in the same order in every process: equal values are equal texts."""
    return encode_json(mapped(member, _bare, str))


def _bare(value: Any, path: str) -> Any:  # noqa: ARG001  the signature of a leaf
    if isinstance(value, SecretStr | SecretBytes):
        return repr(value.get_secret_value())
    try:
        return to_jsonable_python(value)
    except (PydanticSerializationError, UnicodeDecodeError, ValueError):
        return repr(value)


def replaced(value: Any, unseal: Callable[[str, str], str | bytes], path: str = "$") -> Any:
    """Sealed secrets replaced, escaped look-alikes restored."""
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(sealed := value.get(SECRET), str):
            return unseal(sealed, path)
        return {
            (name := key[1:] if is_marker(key) else key): replaced(child, unseal, f"{path}.{name}") for key, child in value.items()
        }
    if isinstance(value, list):
        return [replaced(child, unseal, f"{path}[{number}]") for number, child in enumerate(value)]
    return value
