"""What Stripe may send, read from the annotations that Stripe generated for stripe-python: the oracle of the stand-in.

A field that is not Optional is required; Optional means that null (or nothing) may come; a key without annotation is
unknown; a Literal lists what may come, also where the annotation leaves it open with `| str` (new values arrive with
new versions, but the stand-in must not invent any by accident); an ExpandableField is an id or the object itself.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from importlib import import_module
from types import NoneType
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

import stripe
from stripe._object_classes import get_object_class
from stripe._stripe_object import UntypedStripeObject

CURRENT = "V1"
DECIMAL = re.compile(r"-?\d+(\.\d+)?")
NOT_FIELDS = {"deleted"}  # allowed beside the annotations, on the stubs that a deletion answers with


def complaints(body: Any, path: str = "", *, open_enums: bool = False) -> list[str]:
    """What is wrong with an API object, as `path: fault`; the class follows from `body["object"]`."""
    if not isinstance(body, dict) or not isinstance(body.get("object"), str):
        return [f"{path}: not an API object: {body!r:.80}"]
    name = body["object"]
    path = path or name
    if name in ("list", "search_result"):
        return list(_list_complaints(body, path, open_enums))
    if body.get("deleted") is True:
        return [f"{path}.{key}: unknown key" for key in sorted(set(body) - {"id", "object", "deleted", "name"})]
    known = get_object_class(CURRENT, name)
    if known is stripe.StripeObject:
        return [f"{path}: unknown object {name!r}"]
    return list(_object_complaints(body, known, path, open_enums))


def _list_complaints(body: dict[str, Any], path: str, open_enums: bool) -> Iterator[str]:
    for key, kind in {"data": list, "has_more": bool, "url": str}.items():
        if not isinstance(body.get(key), kind):
            yield f"{path}.{key}: expected {kind.__name__}, got {body.get(key)!r:.80}"
    for key in sorted(set(body) - {"object", "data", "has_more", "url", "total_count", "next_page"}):
        yield f"{path}.{key}: unknown key"
    for number, item in enumerate(body.get("data") or []):
        yield from complaints(item, f"{path}[{number}]", open_enums=open_enums)


def _object_complaints(body: dict[str, Any], known: type, path: str, open_enums: bool) -> Iterator[str]:
    fields = annotations(known)
    for key in sorted(set(body) - set(fields) - NOT_FIELDS):
        yield f"{path}.{key}: unknown key"
    for key, annotation in fields.items():
        if key in body:
            yield from _value_complaints(body[key], annotation, f"{path}.{key}", open_enums)
        elif not _allows_null(annotation):
            yield f"{path}.{key}: required, missing"


def _value_complaints(value: Any, annotation: Any, path: str, open_enums: bool) -> Iterator[str]:
    """The branch of a union that suits the value decides."""
    branches = list(_branches(annotation))
    if value is None:
        if NoneType not in branches and Any not in branches:
            yield f"{path}: null, but not nullable"
        return
    literals = [choice for branch in branches if get_origin(branch) is Literal for choice in get_args(branch)]
    if isinstance(value, str) and literals and value not in literals and not (open_enums and str in branches):
        yield f"{path}: {value!r} is none of {', '.join(map(repr, literals))}"
        return
    suited = [branch for branch in branches if _is_composite(branch) == isinstance(value, dict | list)]
    found = [list(_branch_complaints(value, branch, path, open_enums)) for branch in suited or branches]
    yield from min(found, key=len)


def _is_composite(branch: Any) -> bool:
    kind = get_origin(branch) or branch
    return kind in (list, dict) or (inspect.isclass(kind) and issubclass(kind, stripe.StripeObject))


def _branch_complaints(value: Any, branch: Any, path: str, open_enums: bool) -> Iterator[str]:
    origin = get_origin(branch) or branch
    if origin is Any:
        return
    if origin is Literal:
        if value not in get_args(branch):
            yield f"{path}: {value!r} is none of {', '.join(map(repr, get_args(branch)))}"
    elif origin is list:
        yield from _items_complaints(value, get_args(branch), path, open_enums)
    elif origin is dict:
        yield from _mapping_complaints(value, get_args(branch), path, open_enums)
    elif inspect.isclass(origin) and issubclass(origin, stripe.StripeObject):
        yield from _nested_complaints(value, origin, path, open_enums)
    elif not _is_scalar(value, origin):
        yield f"{path}: expected {getattr(origin, '__name__', origin)}, got {value!r:.80}"


def _items_complaints(value: Any, item: tuple[Any, ...], path: str, open_enums: bool) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{path}: expected a list, got {value!r:.80}"
        return
    for number, element in enumerate(value):
        yield from _value_complaints(element, item[0] if item else Any, f"{path}[{number}]", open_enums)


def _mapping_complaints(value: Any, types: tuple[Any, ...], path: str, open_enums: bool) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: expected an object, got {value!r:.80}"
        return
    for key, element in value.items():
        yield from _value_complaints(element, types[1] if types else Any, f"{path}.{key}", open_enums)


def _nested_complaints(value: Any, known: type, path: str, open_enums: bool) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: expected {known.__name__}, got {value!r:.80}"
        return
    name = getattr(known, "OBJECT_NAME", None)
    if known is UntypedStripeObject:
        yield from _mapping_complaints(value, (str, str) if path.endswith("metadata") else (), path, open_enums)
        return
    if name is None:
        yield from _object_complaints(value, known, path, open_enums)
    elif value.get("object") != name:
        yield f"{path}: expected a {name}, got object {value.get('object')!r}"
    else:
        yield from complaints(value, path, open_enums=open_enums)


def _is_scalar(value: Any, kind: Any) -> bool:
    if kind is Decimal:
        return isinstance(value, str) and DECIMAL.fullmatch(value) is not None
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(kind, type) and isinstance(value, kind)


def _branches(annotation: Any) -> Iterator[Any]:
    """The members of a union, nested unions opened."""
    if get_origin(annotation) is Union:
        for member in get_args(annotation):
            yield from _branches(member)
    else:
        yield annotation


def _allows_null(annotation: Any) -> bool:
    return any(branch in (NoneType, Any) for branch in _branches(annotation))


@cache
def annotations(known: type) -> dict[str, Any]:
    """The fields of a class, its forward references resolved and its class variables left out."""
    names = _Names(known.__module__)
    fields: dict[str, Any] = {}
    for parent in reversed([cls for cls in known.__mro__ if cls.__module__ == known.__module__]):
        hints = get_type_hints(parent, localns=names)
        own = {
            name
            for cls in parent.__mro__
            if cls.__module__ == parent.__module__
            for name in vars(cls).get("__annotations__", {})
        }
        fields |= {
            name: hint
            for name, hint in hints.items()
            if name in own and not name.startswith("_") and get_origin(hint) is not ClassVar
        }
    return fields


class _Names(dict[str, Any]):
    """What a module of stripe-python imports for type checkers only, imported when an annotation names it."""

    def __init__(self, module: str) -> None:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
        self.sources = {
            alias.asname or alias.name: (node.module, alias.name) for node in imports for alias in node.names
        }

    def __missing__(self, name: str) -> Any:
        module, original = self.sources[name]
        return getattr(import_module(str(module)), original)
