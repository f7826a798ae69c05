"""Holds messages to `shapes`, as QuickBooks' request processor does: one misplaced element and nothing is done."""

import re
from dataclasses import dataclass
from functools import cache
from xml.etree.ElementTree import Element, SubElement

from emulators.qbd.refusals import malformed
from emulators.qbd.shapes import LEAVES, LONGEST_NAMES, SHAPES
from emulators.store import Body

TYPES = {
    "amt": re.compile(r"([+-]?\d{1,13}(\.\d{2})?)?"),
    "qty": re.compile(r"([+-]?\d{1,10}(\.\d{1,5})?)?"),
    "rate": re.compile(r"[+-]?\d+(\.\d+)?"),
    "bool": re.compile(r"true|false|1|0"),
    "int": re.compile(r"[+-]?\d+"),
    "date": re.compile(r"(\d{4}-\d\d-\d\d)?"),
    "time": re.compile(r"(\d{4}-\d{1,2}-\d{1,2}(T\d{1,2}(:\d{1,2}(:\d{1,2}([+-]\d{1,2}:\d{1,2})?)?)?)?)?"),
    "guid": re.compile(r"0|\{[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}"),
    "id": re.compile(r".{0,36}"),
}
WORD = re.compile(r"(\w+)(?::([\w/]+))?([?*+]?)")
REPEATED_GROUP = re.compile(r"\(([^()]*)\)[*+]")


@dataclass(frozen=True)
class Shape:
    """A compiled shape: `order` of the names it knows, the kind of each, those that may come more than once."""

    pattern: re.Pattern[str]
    order: tuple[str, ...]
    kinds: dict[str, str]
    many: frozenset[str]


@cache
def shape_of(name: str) -> Shape:
    text = SHAPES[name]
    words = WORD.findall(text)
    kinds = {word: kind or _kind(word) for word, kind, _ in words}
    many = {word for word, _, times in words if times in ("*", "+")}
    for group in REPEATED_GROUP.findall(text):
        many |= {word for word, _, _ in WORD.findall(group)}
    pattern = WORD.sub(lambda match: f"(?:<{match[1]}>){match[3]}", text.replace("(", "(?:")).replace(" ", "")
    return Shape(re.compile(pattern), tuple(dict.fromkeys(word for word, _, _ in words)), kinds, frozenset(many))


def _kind(word: str) -> str:
    if word in SHAPES:
        return word
    if word in LEAVES:
        return LEAVES[word]
    assert word.endswith("Ref"), f"{word} has no kind"
    return f"Ref{LONGEST_NAMES.get(word, 159)}"


def read(element: Element, name: str) -> Body:
    """What an element holds, by name; what may come several times as a list. Raises `Failed` for another shape."""
    shape = shape_of(name)
    if (element.text or "").strip():
        raise malformed(f"text in {element.tag}")
    if not shape.pattern.fullmatch("".join(f"<{child.tag}>" for child in element)):
        raise malformed(f"{element.tag} is {' '.join(str(child.tag) for child in element) or 'empty'}")
    body: Body = {}
    for child in element:
        tag = str(child.tag)
        if tag in ("useMacro", "defMacro"):
            raise malformed("macros")
        value = _value(child, shape.kinds[tag])
        if tag in shape.many:
            body.setdefault(tag, []).append(value)
        else:
            body[tag] = value
    return body


def _value(element: Element, kind: str) -> str | Body:
    if kind in SHAPES:
        return read(element, kind)
    if len(element) or element.attrib:
        raise malformed(f"elements or attributes in {element.tag}")
    text = element.text or ""
    if not fits(text, kind):
        raise malformed(f"{element.tag} is {text[:60]!r}, not {kind}")
    return text


def fits(text: str, kind: str) -> bool:
    if kind.isdigit():
        return len(text) <= int(kind)
    if kind in TYPES:
        return TYPES[kind].fullmatch(text) is not None
    return text in kind.split("/")


def write(name: str, body: Body, kind: str | None = None) -> Element:
    """The element of a body, in the order of its shape. Names that begin with _ are the stand-in's own."""
    element = Element(name)
    shape = shape_of(kind or name)
    strangers = [key for key in body if key not in shape.kinds and not key.startswith("_")]
    assert not strangers, f"{name} has no {', '.join(strangers)}"
    for child in shape.order:
        if child not in body:
            continue
        values = body[child] if isinstance(body[child], list) else [body[child]]
        for value in values:
            if isinstance(value, dict):
                element.append(write(child, value, shape.kinds[child]))
            else:
                assert fits(value, shape.kinds[child]), f"{name}.{child} cannot be {value!r}"
                SubElement(element, child).text = value
    return element
