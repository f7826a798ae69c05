"""What other systems send, held to what our records say before anything is stored of it.

A vendor's answer may be damaged on its way, or simply new to us. One object that is not sound waits by itself for a
person, and the others go on; so whatever may break while one is read is listed here, and its types are looked at.
"""

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import index
from typing import Any, TypeVar

import msgspec

from reconcile.records import Record
from storage.records import from_json, to_json
from sync.ports import Fetched, Hint

# What reading something that is not as expected raises: a piece missing, of another type, or beyond any measure.
UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError, RecursionError)
REASON_MAX = 300  # letters of why one cannot be read
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIGURE_MAX = 10**15  # minor units; sums of many such still fit into 64 bits
TYPE_MAX, KIND_MAX = 100, 32  # of an event
NAME_MAX = 200  # characters of an id that others are made of
FREE = "metadata"  # whose keys are anybody's words
LONGEST = {"id": 180, "category": 64, "type": 64, "kind": 64, "balance_type": 32, "number": 64, "version": 32}
# Of these days are counted to and fro, which a calendar's first and last years do not allow.
DAYS = frozenset(("created_at", "effective_at", "available_on", "arrives_on", "dated", "due_date", "closed_through"))
CURRENCY = re.compile("[A-Z]{3}")
HALF = re.compile("[\ud800-\udfff]")
R = TypeVar("R", bound=Record)


def read_json(text: str | bytes) -> Any:
    """JSON with every fraction a Decimal: no float on the way in. Raises ValueError, also for what JSON has not (NaN),
    for an object that says one thing twice, and for one nested too deep.
    """
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("It is nested too deep.") from None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a number.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("It says one thing twice.")
    return found


def instant(seconds: int) -> datetime:
    """Raises one of UNREADABLE, also for a moment that no calendar has."""
    return EPOCH + timedelta(seconds=index(seconds))


def sound(record: R) -> R:
    """The record, exactly of the types it declares. Raises ValueError for one that cannot be stored or added up."""
    try:
        values = to_json(record)
        _check(values)
        found: R = from_json(values, type(record))
    except (msgspec.MsgspecError, TypeError, RecursionError) as odd:
        raise ValueError(str(odd)) from None
    return found


def sound_hint(hint: Hint) -> Hint:
    """The hint, if its words can be stored. Raises ValueError."""
    words = (hint.event_id, hint.kind, hint.object_id, hint.type)
    if not hint.event_id or not all(map(_is_word, words)) or len(hint.type) > TYPE_MAX or len(hint.kind) > KIND_MAX:
        raise ValueError("It names no event.")
    return hint


def unreadable(kind: str, what: str, content: Any, raw: str, error: Exception) -> Fetched:
    """One object that waits for a person, under its own id if it has one."""
    found = next((content[key] for key in ("id", "Id") if key in content), None) if isinstance(content, dict) else None
    object_id = str(found) if is_name(found) else f"without id {hashlib.sha256(raw.encode()).hexdigest()[:16]}"
    why = plain_text(str(error))[:REASON_MAX]
    problem = f"Tieout cannot read this {what} ({why}). Nothing was done with it."
    return Fetched(kind=kind, id=object_id, record=None, raw=raw, problem=problem)


def plain_text(text: str) -> str:
    """As any database keeps it."""
    return HALF.sub("?", text.replace("\0", "?"))


def is_name(word: Any) -> bool:
    """Whether it can be an id."""
    return isinstance(word, str) and 0 < len(word) <= LONGEST["id"] and _is_text(word)


def _is_word(word: Any) -> bool:
    return isinstance(word, str) and len(word) <= NAME_MAX and _is_text(word)


def _check(value: Any, key: str = "") -> None:
    """Raises ValueError."""
    if isinstance(value, dict):
        for name, part in value.items():
            _check(name)
            _check(part, name if key != FREE else "")
    elif isinstance(value, list | tuple):
        for part in value:
            _check(part)
    elif isinstance(value, str):
        _check_text(value, key)
    elif isinstance(value, int) and abs(value) > FIGURE_MAX:
        raise ValueError(f"{key} is {value}")


def _check_text(text: str, key: str) -> None:
    longest = LONGEST.get(key, NAME_MAX if key.endswith("_id") else None)
    if not _is_text(text):
        raise ValueError(f"{key} has letters that no database keeps")
    if longest is not None and len(text) > longest:
        raise ValueError(f"{key} is longer than {longest} letters")
    if key in DAYS and not "1900" < text[:4] < "2200":
        raise ValueError(f"{key} is {text[:10]}")
    if (key == "currency" and not CURRENCY.fullmatch(text)) or (key == "id" and not text):
        raise ValueError(f"{key} is {text!r}")


def _is_text(text: str) -> bool:
    """Neither NUL, which PostgreSQL does not keep, nor half a letter (a lone surrogate)."""
    return "\0" not in text and (text.isascii() or HALF.search(text) is None)
