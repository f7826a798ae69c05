"""Parameters of a request: out of a form with brackets, and read with Stripe's complaints where they do not fit."""

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl

from emulators.stripe.errors import Body, invalid, missing_param, unknown_param

METADATA_KEYS, METADATA_KEY_CHARS, METADATA_VALUE_CHARS = 50, 40, 500


def decode_form(text: str) -> Body:
    """`a[b]=1&c[0]=2&d[]=3` as {"a": {"b": "1"}, "c": ["2"], "d": ["3"]}."""
    tree: Body = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head, *rest = name.replace("]", "").split("[")
        node, key = tree, head
        for step in rest:
            child = node.setdefault(key, {})
            if not isinstance(child, dict):
                raise invalid("Invalid object", param=head)
            node, key = child, step or str(len(child))
        node[key] = value
    return {key: _lists(value) for key, value in tree.items()}


def _lists(value: Any) -> Any:
    """A mapping whose keys are all numbers is an array."""
    if not isinstance(value, dict):
        return value
    if value and all(key.isdecimal() for key in value):
        return [_lists(value[key]) for key in sorted(value, key=int)]
    return {key: _lists(child) for key, child in value.items()}


def as_form(value: Any) -> Any:
    """Python values as the wire would carry them: every leaf a text."""
    if isinstance(value, dict):
        return {str(key): as_form(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [as_form(child) for child in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


class Params:
    """What a request says. A name in a complaint is written as on the wire: `payment[type]`."""

    def __init__(self, values: Body, prefix: str = "") -> None:
        self.values, self.prefix = values, prefix

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def name(self, key: str) -> str:
        return f"{self.prefix}[{key}]" if self.prefix else key

    def only(self, known: Iterable[str]) -> None:
        for key in self.values:
            if key not in known:
                raise unknown_param(self.name(key))

    def text(self, key: str, default: str | None = None) -> str | None:
        """An empty value is no value: Stripe unsets with it."""
        value = self.values.get(key, default)
        if value is not None and not isinstance(value, str):
            raise invalid(f"Invalid string: {value}", param=self.name(key))
        return value or None

    def required(self, key: str) -> str:
        value = self.text(key)
        if value is None:
            raise missing_param(self.name(key))
        return value

    def integer(self, key: str) -> int | None:
        value = self.text(key)
        if value is None:
            return None
        try:
            return int(value)
        except ValueError:
            raise invalid(f"Invalid integer: {value}", param=self.name(key), code="parameter_invalid_integer") from None

    def amount(self, key: str = "amount") -> int:
        """Minor units, required and positive."""
        value = self.integer(key)
        if value is None:
            raise missing_param(self.name(key))
        if value < 1:
            message = "This value must be greater than or equal to 1."
            raise invalid(message, param=self.name(key), code="parameter_invalid_integer")
        return value

    def boolean(self, key: str, default: bool = False) -> bool:
        value = self.text(key)
        if value not in (None, "true", "false"):
            raise invalid(f"Invalid boolean: {value}", param=self.name(key))
        return default if value is None else value == "true"

    def choice(self, key: str, choices: Iterable[str], default: str | None = None) -> str | None:
        value = self.text(key, default)
        if value is not None and value not in choices:
            raise invalid(f"Invalid {key}: must be one of {', '.join(choices)}", param=self.name(key))
        return value

    def part(self, key: str) -> "Params":
        value = self.values.get(key) or {}
        if not isinstance(value, dict):
            raise invalid("Invalid object", param=self.name(key))
        return Params(value, self.name(key))

    def parts(self, key: str) -> "Iterator[Params]":
        for number, value in enumerate(self._list(key)):
            if not isinstance(value, dict):
                raise invalid("Invalid object", param=self.name(key))
            yield Params(value, f"{self.name(key)}[{number}]")

    def texts(self, key: str) -> list[str]:
        return [str(value) for value in self._list(key)]

    def _list(self, key: str) -> list[Any]:
        value = self.values.get(key) or []
        if not isinstance(value, list):
            raise invalid("Invalid array", param=self.name(key))
        return value

    def metadata(self, old: Body | None = None) -> Body:
        """Merged into the old: an empty value removes its key, an empty `metadata` removes all."""
        if self.values.get("metadata") == "":
            return {}
        merged = dict(old or {})
        for key, value in self.part("metadata").values.items():
            _check_metadata(key, value)
            merged[key] = value
        merged = {key: value for key, value in merged.items() if value != ""}
        if len(merged) > METADATA_KEYS:
            raise invalid("Metadata can have at most 50 keys.", param="metadata")
        return merged


def _check_metadata(key: str, value: Any) -> None:
    if not isinstance(value, str):
        raise invalid("Metadata values must be strings.", param=f"metadata[{key}]")
    if len(key) > METADATA_KEY_CHARS:
        raise invalid(f"Metadata keys must be at most 40 characters, {key!r} is longer.", param="metadata")
    if len(value) > METADATA_VALUE_CHARS:
        raise invalid("Metadata values must be at most 500 characters.", param=f"metadata[{key}]")
