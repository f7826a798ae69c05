"""The laws of the design, held against both systems as they are in memory, not against what we remember of them."""

import hashlib
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import polars as pl
from sqlalchemy import select

from reconcile.days import book_day
from reconcile.legs import legs_of
from storage import audit, connections, findings, fold, mirror
from storage.models import audit as audit_log
from storage.models import inbox, legs, metadata, outbox
from storage.proof import tie_out
from storage.records import to_json
from sync.qbo import records
from tests.simulation.engine.acts import Acts
from tests.simulation.engine.books import DOCUMENTS, entries
from tests.simulation.engine.world import CLEARING, ZONE, World

LINK, PROCESSOR, LEDGER = 1, 1, 2
UNSETTLED = ("planned", "sending", "doubtful")
# Why a leg may still wait when nothing is left to do but for a person, or for time.
OF_UNKNOWN = {"no_invoice", "waits_with_charge", "charge_not_in_books", "UNMATCHED_STRIPE"}


def never_twice(world: World) -> list[str]:
    """Law 3, cheap enough for every step: whatever its revision, a thing of ours is in the books once."""
    found: Counter[str] = Counter()
    wrong = list(world.books.wrong) + list(world.wrong)
    for marker, documents in world.books.marked().items():
        found[_name(marker)] += len(documents)
    wrong += [f"{name} is in the books {number} times." for name, number in found.items() if number > 1]
    return wrong


def left(world: World, *, is_posting: bool) -> list[str]:
    """What is still on its way."""
    with world.database.read() as conn:
        rows = conn.execute(select(outbox.c.marker, outbox.c.state).where(outbox.c.state.in_(UNSETTLED))).all()
        events = conn.execute(select(inbox.c.event_id).where(inbox.c.state == "new")).scalars().all()
        link = connections.link(conn, LINK)
    found = [f"{row.marker} is {row.state}" for row in rows if is_posting or row.state != "planned"]
    found += [f"event {each} is new" for each in events]
    if link.decided_revision != link.revision:
        found.append("what has changed is not decided")
    return found


def judge(world: World, acts: Acts, *, is_posting: bool) -> list[str]:
    """Everything that does not hold in the end; nothing if all does."""
    wrong = never_twice(world)
    with world.database.read() as conn:
        wrong += audit.verify(conn) + fold.verify(conn)  # law 4
        rows = conn.execute(select(outbox).where(outbox.c.state != "withdrawn").order_by(outbox.c.id)).all()
        known = {row.id: row for row in conn.execute(select(legs).where(legs.c.link_id == LINK))}
        found = {
            (each.code, each.document_id): each.marker
            for each in findings.standing(conn, LINK)
        }  # fmt: skip
    if not world.books.is_balanced():
        wrong.append("The books are out of balance.")
    wrong += _mirrored(world)
    wrong += _legs(world, known)
    wrong += _posted(world, acts, rows, found)
    wrong += _booked(world, acts, known, rows)
    wrong += _nothing_lost(world, acts, known, is_posting=is_posting)
    with world.database.read() as conn:
        told = Counter(conn.execute(select(audit_log.c.subject).where(audit_log.c.action == "posted")).scalars())
    wrong += [f"{marker} was posted {number} times, says the audit." for marker, number in told.items() if number > 1]
    wrong += _tied_out(world, acts)
    return wrong


# ---- law 1


def _tied_out(world: World, acts: Acts) -> list[str]:
    """On every day the proof has the figures of both systems, and the items make the difference."""
    with world.database.read() as conn:
        link = connections.link(conn, LINK)
        today = book_day(world.clock.now(), link.time_zone)
        proof = tie_out(conn, link, today)
    wrong = []
    if any(proof.days["unexplained_minor"].to_list()):
        wrong.append("The proof leaves something unexplained.")
    by_day: Counter[Any] = Counter()
    for each in world.stripe.all("movement"):
        by_day[book_day(each.created_at, ZONE)] += each.net_minor
    shown = {row["day"]: row for row in proof.days.filter(pl.col("currency") == "USD").to_dicts()}
    day = min(shown, default=today)
    while day <= today and shown:
        theirs = sum(net for when, net in by_day.items() if when <= day)
        row = shown.get(day)
        if row is None:
            wrong.append(f"The proof has no {day}.")
        elif (row["stripe_minor"], row["clearing_minor"]) != (theirs, world.books.balance(CLEARING, day)):
            there = world.books.balance(CLEARING, day)
            wrong.append(
                f"On {day} the proof shows {row['stripe_minor']} and {row['clearing_minor']}: {theirs}, {there}."
            )
        day += timedelta(days=1)
    if not shown and (world.stripe.balance().get("USD") or world.books.balance(CLEARING)):
        wrong.append("The proof shows nothing.")
    return wrong


# ---- law 2


def _legs(world: World, known: dict[str, Any]) -> list[str]:
    expected = {leg.id: leg.amount_minor for moved in world.stripe.all("movement") for leg in legs_of(moved)}
    wrong = [f"Leg {each} is missing." for each in expected if each not in known]
    wrong += [f"Leg {each} is of nothing." for each in known if each not in expected]
    for leg_id, row in known.items():
        if row.state not in ("matched", "posted", "waiting", "ignored") or not row.reason or not row.detail:
            wrong.append(f"Leg {leg_id} is {row.state} without a reason.")
        if leg_id in expected and row.amount_minor != expected[leg_id]:
            wrong.append(f"Leg {leg_id} is of {row.amount_minor}, not of {expected[leg_id]}.")
    return wrong


def _booked(world: World, acts: Acts, known: dict[str, Any], rows: list[Any]) -> list[str]:
    """What the documents of a movement do to the clearing account is what its posted legs say; and each of these leads
    to a document (law 7).
    """
    posted: Counter[str] = Counter()
    documents = {row.marker: row.document_id for row in rows}
    wrong = []
    for row in known.values():
        if row.state == "posted":
            posted[row.movement_id] += row.amount_minor
            if not row.markers or any(not documents.get(marker) for marker in row.markers):
                wrong.append(f"Leg {row.id} is posted, and no document shows it.")
    effect: Counter[str] = Counter()
    for marker, found in world.books.marked().items():
        for entity, body in found:
            effect[marker.partition(":")[0]] += entries(entity, body)[CLEARING]
    gone = {marker.partition(":")[0] for marker, (_, _, day) in acts.touched.items() if day is None}
    undone = {row.marker.partition(":")[0] for row in rows if row.undoes}
    for movement in sorted({*posted, *effect} - gone - undone):
        shared = any(movement in {leg.partition(":")[0] for leg in _leg_ids(row)} for row in rows)
        if shared and posted[movement] != effect[movement]:
            wrong.append(f"{movement}: {posted[movement]} is posted, its documents come to {effect[movement]}.")
    return wrong


def _leg_ids(row: Any) -> list[str]:
    return [share["leg_id"] for share in row.posting["shares"]]


# ---- law 3, and what people did


def _posted(world: World, acts: Acts, rows: list[Any], found: dict[tuple[str, str], Any]) -> list[str]:
    there = world.books.marked()
    said = {row.marker: row for row in rows if row.state in ("posted", "verified")}
    taken_back = {row.undoes for row in rows if row.undoes}
    wrong = []
    for marker, row in said.items():
        is_gone = marker in acts.touched and acts.touched[marker][2] is None
        if marker not in there and not is_gone and marker not in taken_back and not row.posting["target"]:
            wrong.append(f"{marker} is posted, but it is not in the books.")
    wrong += [f"{marker} is in the books, but not known as posted." for marker in there if marker not in said]
    for row in rows:
        if row.state == "waiting" and not row.problem:
            wrong.append(f"{row.marker} waits without a reason.")
    for marker, (entity, object_id, day) in acts.touched.items():
        wrong += _left_alone(world, marker, entity, object_id, day, found, is_undone=marker in taken_back)
    for charge_id in acts.typed:
        wrong += _typed_once(world, acts, charge_id, found)
    return wrong


def _left_alone(
    world: World, marker: str, entity: str, object_id: str, day: str | None, found: Any, *, is_undone: bool
) -> list[str]:
    """What somebody edited after it was posted is shown, never overwritten."""
    body = world.books.objects[entity].get(object_id)
    codes = {code for (code, _), of in found.items() if of == marker}
    if day is None:
        return (
            [] if body is None and ("gone" in codes or is_undone) else [f"{marker} was deleted, and nothing says so."]
        )
    if is_undone:
        return []
    if body is None or body["TxnDate"] != day or not body["PrivateNote"].endswith("seen by M."):
        return [f"{marker} was edited by a person and then overwritten."]
    return []


def _typed_once(world: World, acts: Acts, charge_id: str, found: Any) -> list[str]:
    """What somebody recorded is not posted again; if both were at it at once, a finding says so."""
    movement = world.stripe.get("charge", charge_id).movement_id
    both = movement and any(marker.startswith(f"{movement}:charge") for marker in world.books.marked())
    if both and not any(code == "recorded_twice" for code, _ in found):
        return [f"{charge_id} was recorded by hand and by us, and nothing says so."]
    return []


# ---- nothing is lost


def _nothing_lost(world: World, acts: Acts, known: dict[str, Any], *, is_posting: bool) -> list[str]:
    """A charge that names its invoice is in the books, unless a person is in the way."""
    if not is_posting or acts.ignored or acts.undone or acts.touched:
        return []
    wrong = []
    for charge_id, invoice_id in acts.paid.items():
        charge = world.stripe.get("charge", charge_id)
        gross = known.get(f"{charge.movement_id}:gross")
        if charge.movement_id is None or charge_id in acts.typed:
            continue
        if gross is None or gross.state not in ("posted", "matched"):
            why = f"{gross.reason}: {gross.detail}" if gross is not None else "unknown"
            wrong.append(f"{charge_id} pays an invoice and is not recorded ({why}).")
        elif world.books.objects["Invoice"][invoice_id]["Balance"]:
            wrong.append(f"{charge_id} is recorded, but its invoice is open.")
    for row in known.values():
        if row.state == "waiting" and row.category == "fee":
            wrong.append(f"{row.id} waits: {row.reason}.")
        if row.state == "waiting" and row.kind != "gross" and row.source_id in acts.paid and not acts.typed:
            wrong.append(f"{row.id} waits: {row.reason}.")
    return wrong


def _mirrored(world: World) -> list[str]:
    """Whatever was lost, repeated or out of order on its way: in the end the mirror shows both systems as they are."""
    wrong = []
    with world.database.read() as conn:
        for kind, objects in world.stripe.objects.items():
            mine = {each.id: to_json(each) for each in mirror.load_all(conn, PROCESSOR, [kind])}
            wrong += _differ(kind, {each: to_json(record) for each, record in objects.items()}, mine)
        for entity in DOCUMENTS:
            read = [records.document(entity, body, "USD") for body in world.books.objects[entity].values()]
            mine = {each.id: to_json(each) for each in mirror.load_all(conn, LEDGER, [records.KIND[entity]])}
            wrong += _differ(entity, {each.id: to_json(each) for each in read}, mine)
    return wrong


def _differ(kind: str, theirs: dict[str, Any], mine: dict[str, Any]) -> list[str]:
    return [
        f"{kind} {each} is otherwise in the mirror: {_changes(theirs.get(each), mine.get(each))}"
        for each in sorted({*theirs, *mine})
        if theirs.get(each) != mine.get(each)
    ]


def _changes(theirs: Any, mine: Any) -> str:
    if theirs is None or mine is None:
        return "gone there" if theirs is None else "not here"
    return ", ".join(f"{name} {theirs[name]} / {mine[name]}" for name in theirs if theirs[name] != mine.get(name))


# ---- the same seed, the same bytes


def digest(world: World) -> str:
    """Of everything that our database and the books hold. Law 6 on the way: no float anywhere."""
    found = hashlib.sha256()
    connection = world.database.driver
    for table in sorted(set(metadata.tables) - {"secrets"}):  # how they are sealed is by chance, and not by ours
        for row in connection.execute(f'SELECT * FROM "{table}" ORDER BY 1, 2'):
            assert not any(isinstance(value, float) for value in row), f"{table} holds a float: {row}"
            found.update(repr(row).encode())
    for entity, objects in sorted(world.books.objects.items()):
        found.update(repr((entity, sorted((name, _plain(body)) for name, body in objects.items()))).encode())
    return found.hexdigest()[:16]


def outcome(world: World) -> dict[str, Any]:
    """What of ours is in the books, by marker, but for payouts: how much those pay out depends on the moment."""
    return {
        marker: sorted(
            (entity, str(body["TotalAmt"]), tuple(sorted(entries(entity, body).items()))) for entity, body in found
        )
        for marker, found in world.books.marked().items()
        if ":payout" not in marker
    }


def _plain(body: Any) -> Any:
    if isinstance(body, dict):
        return sorted((name, _plain(value)) for name, value in body.items())
    if isinstance(body, list):
        return [_plain(each) for each in body]
    assert not isinstance(body, float), f"a float in the books: {body}"
    return str(body) if isinstance(body, Decimal) else body


def _name(marker: str) -> str:
    """The movement and what is recorded of it, whichever revision."""
    source, kind, _, step = marker.rsplit(":", 3)
    return f"{source}:{kind}:{step}"
