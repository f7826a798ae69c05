"""Imports a file: read as a whole first, stored in steps of up to 1,000 objects, then put in order for the matcher.

Every step is safe to repeat: the same file again changes nothing, and one that stopped half way is simply imported
again. What is refused is kept with the import, so that a person sees each row with its reason; the way to try again is
to import the corrected file.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from reconcile.records import Record
from storage import audit, imports, mirror, runs
from storage.engine import Database
from storage.imports import Import
from sync.files import books, quickbooks, stripe
from sync.files.books import Company
from sync.files.cells import DateOrder
from sync.files.merging import contradiction, merge
from sync.files.report import Item, Parsed, Problem, Report, understand
from sync.files.table import FileError, read
from sync.sound import plain_text, sound

STEP = 1_000  # objects stored in one transaction
Side = Literal["stripe", "quickbooks"]
Key = tuple[str, str]
SIDE_NAMES = {"stripe": "Stripe", "quickbooks": "QuickBooks"}
KINDS_OF_FILE = {"balance_change_from_activity": False, "payout_reconciliation": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a person says that a file does not; None lets the file, or what is known already, tell.

    `company` names the books the file belongs to: one Stripe account and one company, as files know them.
    """

    company: str
    currency: str | None = None  # the books' own
    clearing: str | None = None  # the name of the account that stands for the Stripe balance
    dates: DateOrder | None = None
    time_zone: str | None = None  # of the days, and of Stripe's columns that do not say theirs
    is_reconciliation: bool | None = None  # of a Stripe report: all of each payout rather than all of a period
    is_complete: bool = False  # of a report of the books: what it does not list of its days is there no more


def import_file(
    database: Database, at: datetime, actor: str, name: str, content: bytes, answers: Answers, side: Side | None = None
) -> Import:
    """Takes a file over. `side` is where the person says it comes from; None lets its columns tell.

    Raises FileError, with nothing stored, for a file that cannot be taken as a whole or needs an answer first.
    """
    report = understand(read(content), (*stripe.LAYOUTS, *quickbooks.LAYOUTS))
    found: Side = "stripe" if report.layout in stripe.LAYOUTS else "quickbooks"
    if side not in (None, found):
        raise FileError(f"This is a report of {SIDE_NAMES[found]}, not of {SIDE_NAMES[_other(found)]}.")
    with database.read() as conn:
        known = books.find(conn, answers.company)
    parsed = _parse(found, report, name, answers, known)
    _refuse_unsound(parsed)
    with database.write() as conn:
        company = books.ensure(conn, answers.company, parsed, _zone(answers, parsed, known), answers.currency, at)
    connection_id = company.processor_id if found == "stripe" else company.ledger_id
    became = _store(database, at, actor, connection_id, parsed)
    counts = {"rows": parsed.rows} | {name: became[name] for name in ("new", "changed", "unchanged")}
    counts |= {"not_needed": parsed.not_needed.total(), "refused": len(parsed.problems)}
    with database.write() as conn:
        if found == "quickbooks":
            gone = _settle_unlisted(conn, at, actor, company.ledger_id, parsed, is_complete=answers.is_complete)
            counts |= {"taken_out": gone} if gone else {}
        books.arrange(conn, company.link_id, parsed, at, actor)
        import_id = imports.add(
            conn,
            link_id=company.link_id,
            connection_id=connection_id,
            at=at,
            actor=actor,
            name=name[:255],
            digest=hashlib.sha256(content).hexdigest(),
            report=parsed.report,
            first_day=min(parsed.days, default=None),
            last_day=max(parsed.days, default=None),
            counts=counts,
            sums={currency: dict(sums) for currency, sums in parsed.sums.items()},
            notes=_notes(parsed),
            problems=[asdict(problem) for problem in parsed.problems],
        )
        detail = {"report": parsed.report, "rows": counts}
        subject = f"import {import_id}"
        entry = audit.Entry(
            actor=actor, action="imported a file", subject=subject, link_id=company.link_id, detail=detail
        )
        audit.append(conn, at, [entry])
        if not runs.queued(conn, company.link_id):
            runs.enqueue(conn, link_id=company.link_id, kind="sync", cause=actor, scheduled_for=at)
        return imports.get(conn, import_id)


# ---- reading


def _parse(side: Side, report: Report, name: str, answers: Answers, known: Company | None) -> Parsed:
    if side == "stripe":
        named = name.casefold().replace(" ", "_")
        whole = answers.is_reconciliation
        if whole is None:  # as Stripe calls its files
            whole = next((each for words, each in KINDS_OF_FILE.items() if words in named), None)
        zone = answers.time_zone or (known.time_zone if known else None)
        return stripe.parse(report, _zone_info(zone) if zone else None, whole)
    currency = answers.currency or (known.currency if known else None)
    if currency is None:
        raise FileError("In which currency are these books kept? Import Stripe's report first, or say it.")
    clearing = known.clearing if known else None
    if clearing and answers.clearing and not quickbooks.same(clearing, answers.clearing):
        raise FileError(f"The clearing account of these books is {clearing}. Import these under another company name.")
    return quickbooks.parse(report, currency, clearing or answers.clearing, answers.dates)


def _refuse_unsound(parsed: Parsed) -> None:
    """Rows of which something could not be stored."""
    for items in (parsed.items, parsed.rest):
        items[:] = [item for item in items if _is_sound(item, parsed)]


def _is_sound(item: Item, parsed: Parsed) -> bool:
    try:
        for _, record in item.objects:
            sound(record)
    except ValueError as odd:
        text = f"This row cannot be read ({plain_text(str(odd))}). Correct it, then import the file again."
        parsed.problems.append(Problem(line=item.line, column="", value="", text=text))
        return False
    return True


def _zone(answers: Answers, parsed: Parsed, known: Company | None) -> str:
    if known and known.has_movements:
        if answers.time_zone not in (None, known.time_zone):
            raise FileError(f"The days of these books are those of {known.time_zone}; they cannot change any more.")
        return known.time_zone
    return answers.time_zone or parsed.settings.get("time_zone") or (known.time_zone if known else "UTC")


def _zone_info(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise FileError(f"There is no time zone {name}. Name it as in America/New_York.") from None


def _other(side: Side) -> Side:
    return "quickbooks" if side == "stripe" else "stripe"


def _notes(parsed: Parsed) -> list[str]:
    rows = [f"{number:,} rows {why} were not needed." for why, number in sorted(parsed.not_needed.items())]
    return [*parsed.notes, *rows]


def _settle_unlisted(conn: Any, at: datetime, actor: str, ledger_id: int, parsed: Parsed, *, is_complete: bool) -> int:
    """Takes out what a complete report lists no more, gives how many; says it of one that may have been filtered."""
    unlisted = books.unlisted(conn, ledger_id, parsed)
    if is_complete:
        books.take_out(conn, ledger_id, unlisted, at, actor)
        return len(unlisted)
    if unlisted:
        names = ", ".join(f"{each.kind.replace('_', ' ')} {each.doc_number or each.dated}" for each in unlisted[:5])
        parsed.notes.append(
            f"{len(unlisted):,} documents of earlier files are not in this report of the same days ({names}). They "
            "were kept. If they were deleted or changed in QuickBooks, import it again as a complete report."
        )
    return 0


# ---- storing


def _store(database: Database, at: datetime, actor: str, connection_id: int, parsed: Parsed) -> Counter[str]:
    """Rows by what became of them."""
    counts: Counter[str] = Counter()
    for items in _steps([*parsed.items, *parsed.rest]):
        with database.write() as conn:
            counts += _store_step(conn, at, actor, connection_id, items, parsed)
    return counts


def _steps(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Items of up to STEP objects together."""
    step: list[Item] = []
    size = 0
    for item in items:
        if size + len(item.objects) > STEP:
            yield step
            step, size = [], 0
        step.append(item)
        size += len(item.objects)
    if step:
        yield step


def _store_step(
    conn: Any, at: datetime, actor: str, connection_id: int, items: list[Item], parsed: Parsed
) -> Counter[str]:
    known = _known(conn, connection_id, items)
    merged: dict[Key, Record] = {}
    raws: dict[Key, str] = {}
    taken: list[Key] = []
    for item in items:
        found = [(_key(each), each[1]) for each in item.objects]
        clash = [text for key, record in found if (text := contradiction(merged.get(key, known.get(key)), record))]
        if clash:
            parsed.problems.append(Problem(line=item.line, column="", value="", text=clash[0]))
            continue
        for key, record in found:
            merged[key] = merge(merged.get(key, known.get(key)), record, parsed.unsure)
            raws.setdefault(key, item.raw)
        taken += [key for key, _ in found[:1] if item.line]
    objects = [(*key, record, raws[key]) for key, record in merged.items()]
    changed = set(mirror.store(conn, connection_id, objects, at=at, actor=actor))
    return Counter("unchanged" if key not in changed else "changed" if key in known else "new" for key in taken)


def _known(conn: Any, connection_id: int, items: list[Item]) -> dict[Key, Record]:
    ids: dict[str, set[str]] = {}
    for item in items:
        for kind, object_id in map(_key, item.objects):
            ids.setdefault(kind, set()).add(object_id)
    return {
        (kind, object_id): record
        for kind, wanted in ids.items()
        for object_id, record in mirror.load(conn, connection_id, kind, wanted).items()
    }


def _key(found: tuple[str, Record]) -> Key:
    kind, record = found
    return kind, str(record.id)  # type: ignore[union-attr]  # every record that reports tell of has an id
