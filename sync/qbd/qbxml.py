"""qbXML 13.0, which every QuickBooks since 2014 understands: requests as text, responses as what they say.

The schema wants its elements in order, so a request is written down in that order: a tree of (name, content) pairs.
The schema itself is Intuit's and not shipped; the tests hold all requests against it. Source of the rules: Intuit's
"QuickBooks SDK Programmer's Guide" and its onscreen reference for 13.0.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from lxml import etree

from reconcile.money import to_decimal
from sync.qbd.markup import MarkupError, local, parse

VERSION = (13, 0)
PROLOGUE = '<?xml version="1.0" encoding="utf-8"?>\n<?qbxml version="13.0"?>\n'
MESSAGE_SET_ID_MAX = 23  # characters; QuickBooks refuses 25
DAMAGED = "QuickBooks' answer cannot be read."
PLAIN_LETTERS = str.maketrans(  # what word processors write, and the euro, which Latin-1 has not
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-", "\u20ac": "EUR"}
)

Node: TypeAlias = "tuple[str, str | Sequence[Node] | None]"  # name and content; None: left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to one request of a set. `objects` are its *Ret elements; `remaining` what an iterator still holds.

    `set_code` is of the message set, where a set was named by an id; `code` is -1 if the request was not answered.
    """

    kind: str
    request_id: str
    code: int
    text: str
    objects: tuple[Any, ...] = ()
    iterator_id: str | None = None
    remaining: int = 0
    set_code: int | None = None


# ---- requests


def message(
    kind: str,
    content: Sequence[Node],
    *,
    request_id: str,
    attributes: Mapping[str, str] | None = None,
    message_set_id: str | None = None,
) -> str:
    """One request, as the text of a set of its own. `message_set_id` makes QuickBooks remember its answer."""
    root = etree.Element("QBXML")
    names = {"newMessageSetID": message_set_id} if message_set_id else {}
    requests = etree.SubElement(root, "QBXMLMsgsRq", names | {"onError": "stopOnError"})
    request = etree.SubElement(requests, f"{kind}Rq", {"requestID": request_id} | dict(attributes or {}))
    _fill(request, content)
    return _text(root)


def status_check(message_set_id: str) -> str:
    """Asks what became of a set. Both ids, or QuickBooks forgets it instead."""
    root = etree.Element("QBXML")
    ids = {"newMessageSetID": message_set_id, "oldMessageSetID": message_set_id, "onError": "stopOnError"}
    etree.SubElement(root, "QBXMLMsgsRq", ids)
    return _text(root)


def ref(name: str, list_id: str | None) -> Node:
    """A reference to a list object; none if there is no id."""
    return name, None if list_id is None else [("ListID", list_id)]


def amount(minor: int, currency: str) -> str:
    """With two decimals, always: QuickBooks takes nothing else. Raises ValueError for a third one."""
    value = to_decimal(minor, currency)
    if value != value.quantize(Decimal("0.01")):
        raise ValueError(f"QuickBooks Desktop keeps two decimals; {value} {currency} has more.")
    return f"{value:.2f}"


def fold(text: str) -> str:
    """As QuickBooks Desktop can store it: Latin-1. What has no equivalent becomes "?", as it would there."""
    plain = unicodedata.normalize("NFC", text).translate(PLAIN_LETTERS)
    return "".join(_fold_letter(letter) for letter in plain)


def _fold_letter(letter: str) -> str:
    if letter in "\t\n":
        return letter
    if unicodedata.category(letter).startswith("C"):
        return " " if letter == "\r" else ""
    if ord(letter) < 256:
        return letter
    bare = "".join(each for each in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(each))
    return bare if bare and all(ord(each) < 256 for each in bare) else "?"


def _text(root: Any) -> str:
    """In ASCII, everything else as numbers: the only form that QuickBooks reads as it was meant."""
    return PROLOGUE + str(etree.tostring(root, encoding="us-ascii").decode())


def _fill(parent: Any, content: Iterable[Node]) -> None:
    for name, value in content:
        if value is None:
            continue
        child = etree.SubElement(parent, name)
        if isinstance(value, str):
            child.text = fold(value)
        else:
            _fill(child, value)


# ---- responses


def answer(body: str) -> Answer:
    """The answer to a set of one request (or to a status check, whose answer may be empty). Raises ValueError."""
    root = parse(body.strip().encode())
    sets = root.find("QBXMLMsgsRs")
    if local(root) != "QBXML" or sets is None:
        raise MarkupError(DAMAGED)
    set_code = _integer(sets.get("messageSetStatusCode"))
    if not len(sets):
        return Answer(kind="", request_id="", code=-1, text="", set_code=set_code)
    found = sets[0]
    return Answer(
        kind=local(found).removesuffix("Rs"),
        request_id=found.get("requestID") or "",
        code=int(found.get("statusCode", "-1")),
        text=found.get("statusMessage") or "",
        objects=tuple(found),
        iterator_id=found.get("iteratorID"),
        remaining=_integer(found.get("iteratorRemainingCount")) or 0,
        set_code=set_code,
    )


def answers(body: str) -> dict[str, Answer]:
    """All answers of a set by kind, of the requests the Web Connector makes by itself at the start of a visit."""
    sets = parse(body.strip().encode()).find("QBXMLMsgsRs")
    if sets is None:
        raise MarkupError(DAMAGED)
    return {
        local(found).removesuffix("Rs"): Answer(
            kind=local(found).removesuffix("Rs"),
            request_id=found.get("requestID") or "",
            code=int(found.get("statusCode", "-1")),
            text=found.get("statusMessage") or "",
            objects=tuple(found),
        )
        for found in sets
    }


def text_of(element: Any) -> str:
    """An object as the mirror keeps it."""
    return str(etree.tostring(element, encoding="unicode", with_tail=False)).strip()


def value(element: Any, *path: str) -> str | None:
    """The text at a path of element names; None where there is none."""
    found = element.findtext("/".join(path))
    return found.strip() if found and found.strip() else None


def _integer(text: str | None) -> int | None:
    return None if text is None else int(text)
