"""What QuickBooks Online may send, derived from Intuit's own XSDs: the oracle of the stand-in.

TIEOUT_SPECS names a folder; its subfolder `qbo` holds Finance.xsd and what it includes, as Intuit publishes them
with its SDKs. In JSON an element or attribute is a key, a repeated element an array, a ReferenceType (and any other
type with a text of its own) {value, name, type}. `domain`, `sparse` and `status` may stand anywhere.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from lxml import etree

XS = "{http://www.w3.org/2001/XMLSchema}"
EVERYWHERE = {"domain", "sparse", "status", "LineEx"}
ALWAYS = ("Id", "SyncToken", "MetaData")  # optional in the XSD, since a request to create has none
WITHOUT_ID = {"ExchangeRate"}


@dataclass(frozen=True)
class Field:
    type: str
    repeated: bool
    required: bool


@cache
def types() -> dict[str, etree._Element]:
    found: dict[str, etree._Element] = {}
    for path in sorted((Path(os.environ["TIEOUT_SPECS"]) / "qbo").glob("*.xsd")):
        for node in etree.parse(path).iter(f"{XS}complexType", f"{XS}simpleType"):
            if node.get("name"):
                found.setdefault(node.get("name"), node)
    return found


def local(name: str | None) -> str:
    return (name or "anyType").rpartition(":")[2]


@cache
def contract(name: str) -> dict[str, Field]:
    """The fields of a type, those of its bases first."""
    node = types()[name]
    fields: dict[str, Field] = {}
    extension = node.find(f".//{XS}extension")
    if extension is not None:
        base = local(extension.get("base"))
        if extension.getparent().tag == f"{XS}simpleContent":
            fields["value"] = Field(base, False, True)
        elif base in types():
            fields |= contract(base)
    for part in node.iter(f"{XS}element", f"{XS}attribute"):
        repeated = part.get("maxOccurs") == "unbounded"
        required = part.tag == f"{XS}element" and part.get("minOccurs") != "0" and not in_choice(part)
        required = required and local(part.get("type")) != "IntuitAnyType"  # the extension points of XML
        fields[part.get("name") or local(part.get("ref"))] = Field(local(part.get("type")), repeated, required)
    return fields


def in_choice(node: etree._Element) -> bool:
    return any(parent.tag == f"{XS}choice" or parent.get("minOccurs") == "0" for parent in node.iterancestors())


def complaints(entity: str, body: object) -> list[str]:
    """What in an object that the service returned breaks the contract, as `path: fault`."""
    found = list(_object(entity, body, entity))
    if entity not in WITHOUT_ID and isinstance(body, dict) and body.get("status") != "Deleted":
        found += [f"{entity}.{name}: missing" for name in ALWAYS if name not in body]
    return found


def _object(name: str, body: object, path: str) -> Iterator[str]:
    if not isinstance(body, dict):
        yield f"{path}: an object is expected, not {body!r}"
        return
    fields = contract(name)
    for key, value in body.items():
        if key in fields:
            yield from _field(fields[key], value, f"{path}.{key}")
        elif key not in EVERYWHERE:
            yield f"{path}.{key}: unknown"
    yield from (f"{path}.{key}: missing" for key, field in fields.items() if field.required and key not in body)


def _field(field: Field, value: object, path: str) -> Iterator[str]:
    if not field.repeated:
        yield from _value(field.type, value, path)
    elif not isinstance(value, list):
        yield f"{path}: a list is expected"
    else:
        for position, item in enumerate(value):
            yield from _value(field.type, item, f"{path}[{position}]")


def _value(kind: str, value: object, path: str) -> Iterator[str]:
    node = types().get(kind)
    if node is None or kind == "id":
        check = SIMPLE.get(kind, lambda _value: True)
        if not check(value):
            yield f"{path}: {value!r} is not of type {kind}"
    elif kind == "IntuitAnyType":
        return
    elif node.tag == f"{XS}complexType":
        yield from _object(kind, value, path)
    else:
        words = [word.get("value") for word in node.iter(f"{XS}enumeration")]
        if not isinstance(value, str) or (words and value not in words):
            yield f"{path}: {value!r} is not one of {kind}"


def _is_number(value: object) -> bool:
    """A JSON number without binary noise, so at most as many digits as a rate has."""
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and re.fullmatch(r"-?\d+(\.\d{1,10})?", str(value)) is not None
    )


def _is_time(value: object) -> bool:
    return isinstance(value, str) and "T" in value and datetime.fromisoformat(value).tzinfo is not None


SIMPLE: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "anyURI": lambda value: isinstance(value, str),
    "id": lambda value: isinstance(value, str) and value != "",
    "boolean": lambda value: isinstance(value, bool),
    "decimal": _is_number,
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "positiveInteger": lambda value: isinstance(value, int) and value > 0,
    "date": lambda value: isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value) is not None,
    "dateTime": _is_time,
}


# --- answers ----------------------------------------------------------------------------------------------------------

ENVELOPE = {"time", "bId", "Fault", "fault", "startPosition", "maxResults", "totalCount"}


def answered(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every (entity, object) of an answer: a single one, a query's, a batch's, a change list's."""
    for name, value in body.items():
        if name == "QueryResponse" and isinstance(value, dict):
            yield from answered(value)
        elif name in ("BatchItemResponse", "CDCResponse", "QueryResponse"):
            for item in value:
                yield from answered(item)
        elif name not in ENVELOPE:
            yield from ((name, item) for item in (value if isinstance(value, list) else [value]))


def complaints_in(body: dict[str, Any]) -> list[str]:
    return [fault for entity, item in answered(body) for fault in complaints(entity, item)]
