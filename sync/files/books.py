"""The link that files are imported into: one Stripe account and one company, as far as reports tell of them.

Both of its connections are of the mode `files`: they have no credentials, nothing is fetched, and nothing can be
posted. Accounts and customers are known by their names, for reports carry no ids.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from reconcile.days import book_day
from reconcile.postings import ROLES, Mappings, Policies
from reconcile.records import Account, Charge, Document, Movement, Named, Record
from reconcile.records import Company as CompanyRecord
from storage import connections, mirror, openings
from storage.connections import Link
from storage.records import DOCUMENT_KINDS, to_json
from sync.files import quickbooks
from sync.files.report import Parsed
from sync.files.table import FileError

MODE = "files"
STRIPE, BOOKS = "stripe_file", "qbo_file"
CLEARING, FEES, BANK, VENDOR = "Stripe clearing", "Stripe fees", "Bank account", "Stripe"
SALE, REFUND, OPENING = "Stripe sale", "Stripe refund", "Opening Balance Equity"
ROLE_TYPES = {
    ROLES["disputes_receivable"]: "Other Current Asset",
    ROLES["reserve"]: "Other Current Asset",
    ROLES["refunds_owed"]: "Other Current Liability",
    ROLES["dispute_losses"]: "Expense",
    ROLES["dispute_fees"]: "Expense",
    ROLES["exchange"]: "Other Expense",
}
NAME_MAX = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """What is known of the books before a file is read. `clearing` is None until a report named the account."""

    link_id: int
    processor_id: int
    ledger_id: int
    time_zone: str
    currency: str | None
    clearing: str | None
    has_movements: bool


def find(conn: Any, name: str) -> Company | None:
    """Raises FileError where files cannot be imported at all."""
    if not name.strip() or len(name) > NAME_MAX:
        raise FileError(f"Name the company whose files these are, in up to {NAME_MAX} letters.")
    if any(each.mode == "emulated" for each in connections.all_connections(conn)):
        raise FileError(
            "This is the demo, which takes no files: nothing real is mixed with it. Stop it, and start your own "
            "workbench with `tieout serve`."
        )
    for link in connections.all_links(conn):
        side = connections.connection(conn, link.processor_id)
        if (side.system, side.external_id) == (STRIPE, _external_id(name)):
            return _company(conn, link)
    return None


def _company(conn: Any, link: Link) -> Company:
    record = mirror.load(conn, link.ledger_id, "company", ["company"]).get("company")
    ledger = connections.connection(conn, link.ledger_id)
    return Company(
        link_id=link.id,
        processor_id=link.processor_id,
        ledger_id=link.ledger_id,
        time_zone=link.time_zone,
        currency=record.home_currency if record else None,
        clearing=ledger.settings.get("clearing"),
        has_movements=mirror.holds_any(conn, link.processor_id, "movement"),
    )


def ensure(conn: Any, name: str, parsed: Parsed, time_zone: str, currency: str | None, at: datetime) -> Company:
    """The company, made if this is its first file."""
    known = find(conn, name)
    if known is None:
        sides = {
            system: connections.add_connection(
                conn, system=system, external_id=_external_id(name), name=label, mode=MODE, settings={}, at=at
            )
            for system, label in ((STRIPE, f"{name.strip()}, Stripe"), (BOOKS, name.strip()))
        }
        link_id = connections.add_link(
            conn,
            processor_id=sides[STRIPE],
            ledger_id=sides[BOOKS],
            name=name.strip(),
            cutover=min(parsed.days, default=at.date()),
            time_zone=time_zone,
            mappings=Mappings(),
            policies=Policies(),
        )
        known = _company(conn, connections.link(conn, link_id))
    elif known.time_zone != time_zone:
        connections.change_link(conn, known.link_id, time_zone=time_zone)
    _keep_currency(conn, known, parsed, currency, at)
    return known


def _external_id(name: str) -> str:
    return " ".join(name.casefold().split())


def _keep_currency(conn: Any, known: Company, parsed: Parsed, stated: str | None, at: datetime) -> None:
    """The currency of the books: as said, else the one Stripe settles most entries in."""
    if known.currency and stated in (None, known.currency):
        return
    if known.currency and mirror.holds_any(conn, known.ledger_id, *DOCUMENT_KINDS):
        raise FileError(f"These books are kept in {known.currency}. Import other books under another company name.")
    records = (item.objects[0][1] for item in parsed.items)
    used = Counter(record.currency for record in records if isinstance(record, Movement | Document))
    currency = stated or (used.most_common(1)[0][0] if used else None)
    if currency:
        record = CompanyRecord(id="company", name="", home_currency=currency)
        mirror.store(conn, known.ledger_id, [("company", "company", record, "")], at=at, actor=MODE)


# ---- after the objects are stored


def arrange(conn: Any, link_id: int, parsed: Parsed, at: datetime, actor: str) -> None:
    """Brings the link in line with everything imported so far: its first day, opening balances and accounts."""
    link = connections.link(conn, link_id)
    _keep_settings(conn, link, parsed)
    _recapture(conn, link, at, actor)
    movements: list[Movement] = mirror.load_all(conn, link.processor_id, ["movement"])
    link = _with(conn, link, cutover=_cutover(conn, link, movements), mappings=_mappings(conn, link, at))
    _open_books(conn, link, parsed, at, actor)
    starts = _starts(conn, link, movements)
    balances: dict[str, int] = defaultdict(int, starts)
    for movement in movements:
        balances[movement.currency] += movement.net_minor
    found = openings.compute(conn, link, dict(balances))
    if found != link.openings:
        connections.change_link(conn, link.id, openings=to_json(found))
    connections.record_balances(conn, link.id, dict(balances), at)


def unlisted(conn: Any, ledger_id: int, parsed: Parsed) -> list[Document]:
    """Documents of earlier files that this report should list if it is complete for its days, and does not."""
    listed = {record.id for item in parsed.items for _, record in item.objects if isinstance(record, Document)}
    kinds = sorted({item.objects[0][0] for item in parsed.items} & set(DOCUMENT_KINDS))
    if not kinds or parsed.problems:  # a refused row may be the one that seems to be missing
        return []
    known: list[Document] = mirror.load_all(conn, ledger_id, kinds)
    return [
        document
        for document in known
        if document.id not in listed
        and min(parsed.days) <= document.dated <= max(parsed.days)
        and (parsed.report != quickbooks.DETAIL or document.legs or document.kind in ("invoice", "credit_memo"))
    ]


def take_out(conn: Any, ledger_id: int, documents: list[Document], at: datetime, actor: str) -> None:
    """They are in the books no more."""
    mirror.store(conn, ledger_id, [(each.kind, each.id, None, "") for each in documents], at=at, actor=actor)


def _with(conn: Any, link: Link, *, cutover: date, mappings: Mappings) -> Link:
    if (cutover, mappings) != (link.cutover, link.mappings):
        connections.change_link(conn, link.id, cutover=cutover, mappings=to_json(mappings))
    return connections.link(conn, link.id)


def _keep_settings(conn: Any, link: Link, parsed: Parsed) -> None:
    """What a report says of its whole side: the clearing account's name, what Stripe held at the start of a day."""
    for connection_id, names in ((link.processor_id, ("statements",)), (link.ledger_id, ("clearing",))):
        said = {name: parsed.settings[name] for name in names if name in parsed.settings}
        settings = connections.connection(conn, connection_id).settings
        if "statements" in said:
            said["statements"] = settings.get("statements", {}) | said["statements"]
        if said and settings | said != settings:
            connections.change_settings(conn, connection_id, settings | said)


def _cutover(conn: Any, link: Link, movements: list[Movement]) -> date:
    """The first day anything is known of: Stripe's side decides, for its balance is what is to be proved."""
    if movements:
        return book_day(min(movement.created_at for movement in movements), link.time_zone)
    documents: list[Document] = mirror.load_all(conn, link.ledger_id, list(DOCUMENT_KINDS))
    return min((document.dated for document in documents if not _is_beginning(document)), default=link.cutover)


def _mappings(conn: Any, link: Link, at: datetime) -> Mappings:
    """Accounts by their names, so that what would be recorded can be shown."""
    record = mirror.load(conn, link.ledger_id, "company", ["company"]).get("company")
    if record is None:
        return link.mappings
    home = record.home_currency
    clearing = connections.connection(conn, link.ledger_id).settings.get("clearing", CLEARING)
    types = {clearing: "Bank", BANK: "Bank", FEES: "Expense", OPENING: "Equity", **ROLE_TYPES}
    chart: list[tuple[str, str, Record]] = [
        *(("account", name, Account(id=name, name=name, type=type_, currency=home)) for name, type_ in types.items()),
        ("vendor", VENDOR, Named(id=VENDOR, name=VENDOR, currency=home)),
        *(("item", name, Named(id=name, name=name)) for name in (SALE, REFUND)),
    ]
    mirror.store(conn, link.ledger_id, [(*each, "") for each in chart], at=at, actor=MODE)
    return Mappings(
        clearing={home: clearing},
        bank={home: BANK},
        fees={"stripe_fee": FEES, "tax": FEES},
        fee_vendor=VENDOR,
        sales_item=SALE,
        refund_item=REFUND,
        opening_account=OPENING,
        accounts=dict(ROLES),
    )


def _open_books(conn: Any, link: Link, parsed: Parsed, at: datetime, actor: str) -> None:
    """The balance the clearing account's report begins with, dated before everything else. The earliest report's."""
    kind = "journal_entry"
    earlier: Document | None = mirror.load(conn, link.ledger_id, kind, [f"{kind}:{quickbooks.BEGINNING_ID}"]).get(
        f"{kind}:{quickbooks.BEGINNING_ID}"
    )
    found, amount = earlier, parsed.settings.get("beginning")
    before = min([link.cutover, *parsed.days]) - timedelta(days=1)
    if amount is not None and (earlier is None or before <= earlier.dated):
        home = next(iter(link.mappings.clearing))
        found = quickbooks.beginning(parsed.settings["clearing"], home, amount, before)
    if found is not None and found.dated >= link.cutover:
        found = replace(found, dated=link.cutover - timedelta(days=1))
    if found is not None and found != earlier:
        mirror.store(conn, link.ledger_id, [(kind, found.id, found, "")], at=at, actor=actor)


def _is_beginning(document: Document) -> bool:
    return document.ledger_id == quickbooks.BEGINNING_ID


def _starts(conn: Any, link: Link, movements: list[Movement]) -> dict[str, int]:
    """What Stripe held at the start of the cut-over day, from its balance summaries; nothing where there is none."""
    statements = connections.connection(conn, link.processor_id).settings.get("statements", {})
    found = {}
    for currency, (day, amount) in statements.items():
        start = openings.cutover_instant(date.fromisoformat(day), link.time_zone)
        earlier = (each for each in movements if each.currency == currency and each.created_at < start)
        found[currency] = amount - sum(each.net_minor for each in earlier)
    return found


def _recapture(conn: Any, link: Link, at: datetime, actor: str) -> None:
    """Charges of which only a part was captured: their reversals are entries of their own, perhaps of another file."""
    reversals: dict[str, list[Movement]] = defaultdict(list)
    for movement in mirror.load_open(conn, link.processor_id, ["movement"]):
        if movement.category == "partial_capture_reversal" and movement.source_id:
            reversals[movement.source_id].append(movement)
    charges: dict[str, Charge] = mirror.load(conn, link.processor_id, "charge", reversals)
    changed = []
    for charge in charges.values():
        if all(each.currency == charge.currency for each in reversals[charge.id]):
            captured = charge.amount_minor + sum(each.gross_minor for each in reversals[charge.id])
            if captured != charge.captured_minor:
                changed.append(("charge", charge.id, replace(charge, captured_minor=captured), ""))
    if changed:
        mirror.store(conn, link.processor_id, changed, at=at, actor=actor)
