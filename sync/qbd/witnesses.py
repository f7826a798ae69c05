"""Whether the company file is still the one that was read: it may have been restored from an older backup.

Of each entity the newest object that was read or made is kept in mind (its witness): its id and its time. A reading
asks for all that was modified since well before that time, so it must show the witness, unless QuickBooks says that it
was deleted. If neither happens, the file is an older one, and everything is read again.

What is read from its beginning also shows what is gone: whatever the mirror has of it and the reading did not show.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from storage import audit, mirror
from sync.booking import ACTOR
from sync.qbd.markup import local
from sync.qbd.qbxml import value
from sync.qbd.records import SOLD, TAX_ITEMS
from sync.qbd.wire import KIND

# What the mirror calls the objects of each entity that is read.
MIRRORED: Mapping[str, tuple[str, ...]] = {entity: (kind,) for entity, kind in KIND.items()} | {
    "Account": ("account",),
    "Customer": ("customer",),
    "Vendor": ("vendor",),
    "Item": ("item", "tax_code"),
    "Class": ("class",),
    "PaymentMethod": ("payment_method",),
}
SEEN = "seen:"  # cursors: the ids that each page of an entity has shown, while it is read from its beginning
# Of an entity of which no page was read: `awaited` is its witness from before the first one, `shown` whether it came.
ENTITY_BEGINS: dict[str, Any] = {"begun": False, "awaited": None, "shown": False}
# Of a reading that has not begun. `doubted` is what was missing when everything was read again, `blind` the entities
# that showed it then: their witnesses say nothing.
NONE: dict[str, Any] = {"witnesses": {}, "missing": {}, "doubted": {}, "blind": []} | ENTITY_BEGINS

Position = dict[str, Any]


def see(position: Position, entity: str, objects: Sequence[Any]) -> Position:
    """Where a reading stands after a page of an entity. What a page shows is in the mirror, so it is kept in mind even
    if the rest is never read.
    """
    stamps = [(_time(each), _id(each)) for each in objects]
    awaited = position["awaited"] if position["begun"] else position["witnesses"].get(entity)
    blind = position["blind"]
    if _shows(stamps, position["doubted"].get(entity)):
        blind = sorted({*blind, entity})
    for time, object_id in stamps:
        if time and object_id:
            position = _keep(position, entity, time, object_id)
    shown = position["shown"] or _shows(stamps, awaited)
    return position | {"begun": True, "awaited": awaited, "shown": shown, "blind": blind}


def close(position: Position, entity: str) -> Position:
    """After the last page of an entity. What was not shown is missed until QuickBooks says that it was deleted."""
    known, missing = position["awaited"], position["missing"]
    if known is not None and not position["shown"] and entity not in position["blind"]:
        missing = missing | {entity: known}
    return position | {"missing": missing} | ENTITY_BEGINS


def keep(position: Position, element: Any) -> Position:
    """Keeps what was made in mind if nothing of its entity is newer."""
    entity, time, object_id = _entity(element), _time(element), _id(element)
    return _keep(position, entity, time, object_id) if entity in MIRRORED and time and object_id else position


def start_over(position: Position) -> Position:
    """It is an older file."""
    return position | NONE | {"doubted": position["missing"], "blind": position["blind"], "marks": {}}


def _keep(position: Position, entity: str, time: str, object_id: str) -> Position:
    known = position["witnesses"].get(entity)
    if known is not None and known[0] > time:
        return position
    return position | {"witnesses": position["witnesses"] | {entity: [time, object_id]}}


def _shows(stamps: Iterable[tuple[str, str | None]], wanted: Sequence[str] | None) -> bool:
    return wanted is not None and any(each[1] == wanted[1] and each[0] >= wanted[0] for each in stamps)


def tell(position: Position, deleted: Iterable[Any]) -> Position:
    """QuickBooks says that these were deleted: nobody waits for them any more."""
    ids = {_id(each) for each in deleted}
    witnesses = {entity: each for entity, each in position["witnesses"].items() if each[1] not in ids}
    missing = {entity: each for entity, each in position["missing"].items() if each[1] not in ids}
    return position | {"witnesses": witnesses, "missing": missing}


def note_page(conn: Any, connection_id: int, page: int, objects: Sequence[Any], now: datetime) -> None:
    """What a page of an entity has shown that is read from its beginning."""
    mirror.move_cursor(conn, connection_id, f"{SEEN}{page}", [_id(each) for each in objects], now)


def forget_pages(conn: Any, connection_id: int) -> None:
    """An entity begins, perhaps once more."""
    mirror.forget_cursors(conn, connection_id, SEEN)


def sweep(conn: Any, connection_id: int, entity: str, now: datetime) -> None:
    """An entity was read from its beginning to its end: what it did not show is gone."""
    head = f"{KIND[entity]}:" if entity in KIND else ""
    seen = {f"{head}{each}" for page in mirror.cursors_of(conn, connection_id, SEEN) for each in page}
    forget_pages(conn, connection_id)
    gone = [
        (kind, each) for kind in MIRRORED[entity] for each in sorted(mirror.ids_of(conn, connection_id, kind) - seen)
    ]
    if gone:
        mirror.store(conn, connection_id, [(*each, None, "") for each in gone], at=now, actor=ACTOR)


def record_older(conn: Any, connection_id: int, position: Position, now: datetime) -> None:
    """For whoever asks why everything was read again."""
    detail = {"missing": dict(sorted(position["missing"].items()))}
    entry = audit.Entry(actor=ACTOR, action="older file", subject=f"connection {connection_id}", detail=detail)
    audit.append(conn, now, [entry])


def _entity(element: Any) -> str:
    name = local(element).removesuffix("Ret")
    return "Item" if name in (*SOLD, *TAX_ITEMS) else name


def _id(element: Any) -> str | None:
    return value(element, "TxnID") or value(element, "ListID")


def _time(element: Any) -> str:
    """Local, as it was printed but for its offset, so that two of them can be compared; "" if there is none."""
    printed = value(element, "TimeModified")
    return datetime.fromisoformat(printed).replace(tzinfo=None).isoformat() if printed else ""
