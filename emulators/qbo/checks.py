"""Holds a request's body to `fields.py` and brings it to one form: no empty values, numbers as on the wire."""

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from emulators.qbo.fault import invalid, too_long, unknown_property
from emulators.qbo.fields import SHAPES
from emulators.qbo.money import number

Body = dict[str, Any]
NUMBER_MAX = 10**13
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def checked(shape: str, body: Body, path: str = "") -> Body:
    """A copy without nulls, empty texts and empty lists, which the API takes for "not given"."""
    fields = SHAPES[shape]
    clean: Body = {}
    for name, value in body.items():
        kind = fields.get(name)
        if kind is None:
            raise unknown_property(f"{path}{name}")
        if value is None or value in ("", []):
            continue
        result = _list(kind[:-1], value, path + name) if kind[-1] == "*" else _value(kind, value, path + name)
        if result is not None:
            clean[name] = result
    return clean


def _list(kind: str, value: object, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise invalid(path, "a list is expected")
    return [_value(kind, item, path) for item in value]


def _value(kind: str, value: Any, path: str) -> Any:
    if kind in SHAPES:
        if not isinstance(value, dict):
            raise invalid(path, "an object is expected")
        return checked(kind, value, f"{path}.")
    if "|" in kind:
        if value not in kind.split("|"):
            raise invalid(path, f"{value} is not one of {kind.replace('|', ', ')}")
        return value
    return _SIMPLE[kind[0]](kind, value, path)


def _text(kind: str, value: Any, path: str) -> str:
    if isinstance(value, (dict, list)):
        raise invalid(path, "a text is expected")
    text = value if isinstance(value, str) else str(value)
    if kind[1:] and len(text) > int(kind[1:]):
        raise too_long(path, int(kind[1:]))
    return text


def _flag(_kind: str, value: Any, path: str) -> bool:
    flag = {True: True, False: False, "true": True, "false": False}.get(value) if not isinstance(value, dict) else None
    if flag is None:
        raise invalid(path, "true or false is expected")
    return flag


def _number(_kind: str, value: Any, path: str) -> int | float:
    if isinstance(value, bool):
        raise invalid(path, "a number is expected")
    try:
        exact = round(Decimal(str(value)), 10)
        if abs(exact) >= NUMBER_MAX:
            raise ValueError
        return number(exact)
    except (InvalidOperation, ValueError, TypeError):
        raise invalid(path, f"{value} is not a number") from None


def _date(_kind: str, value: Any, path: str) -> str:
    text = str(value)[:10]  # a time of day is accepted and dropped
    try:
        if not DATE.fullmatch(text):
            raise ValueError
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise invalid(path, f"{value} is not a date") from None


def _time(_kind: str, value: Any, path: str) -> str:
    try:
        return datetime.fromisoformat(str(value)).isoformat()
    except ValueError:
        raise invalid(path, f"{value} is not a time") from None


def _reference(_kind: str, value: Any, path: str) -> Body | None:
    if not isinstance(value, dict):
        raise invalid(path, "a reference is expected")
    for name in value:
        if name not in ("value", "name", "type"):
            raise unknown_property(f"{path}.{name}")
    if value.get("value") in (None, ""):
        return None
    return {key: str(text) for key, text in value.items() if text not in (None, "")}


def _anything(_kind: str, value: Any, _path: str) -> Any:
    """What is only kept and shown again; numbers as on the wire."""
    if isinstance(value, dict):
        return {name: _anything("x", item, "") for name, item in value.items()}
    if isinstance(value, list):
        return [_anything("x", item, "") for item in value]
    return number(value) if isinstance(value, Decimal) else value


_SIMPLE: dict[str, Callable[[str, Any, str], Any]] = {
    "s": _text,
    "b": _flag,
    "n": _number,
    "i": _number,
    "d": _date,
    "t": _time,
    "r": _reference,
    "x": _anything,
}
