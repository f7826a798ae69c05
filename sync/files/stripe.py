"""Stripe's reports as records: the itemised balance, payouts and payout reconciliation reports, the balance summary,
and what the Dashboard exports of the balance.

Columns as Stripe documents them ("Report types": balance, payout reconciliation), in major units. A report knows less
than the API: one figure for all fees of an entry; a payout's day, not when it was made (Stripe's reports take a payout
off the balance on the day it takes effect, so that nothing of it is in transit).
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from reconcile.money import Money
from reconcile.records import Charge, Dispute, Fee, Movement, Payout, PayoutItems, Record, Refund
from sync.files import cells
from sync.files.cells import CellError
from sync.files.report import Item, Layout, Parsed, ReadingError, Report
from sync.files.table import Cell, FileError, Row

T = TypeVar("T")

ENTRY = {
    "id": ("balance_transaction_id", "id"),
    "currency": ("currency",),
    "gross": ("gross", "amount"),
    "fee": ("fee",),
    "net": ("net",),
    "category": ("reporting_category",),
    "type": ("type",),
    "source": ("source_id", "source"),
    "created_utc": ("created_utc", "Created (UTC)"),
    "created": ("created",),
    "available_utc": ("available_on_utc", "Available On (UTC)"),
    "available": ("available_on",),
    "description": ("description",),
    "facing_amount": ("customer_facing_amount",),
    "facing_currency": ("customer_facing_currency",),
    "payout": ("automatic_payout_id",),
    "effective_utc": ("automatic_payout_effective_at_utc",),
    "effective": ("automatic_payout_effective_at",),
    "customer": ("customer_id",),
    "customer_name": ("customer_name",),
    "customer_email": ("customer_email",),
    "charge": ("charge_id",),
    "intent": ("payment_intent_id",),
    "invoice_number": ("invoice_number",),
    "dispute_reason": ("dispute_reason",),
}
ENTRIES = Layout(
    name="Stripe balance, itemised",
    columns=ENTRY,
    needs=(("id",), ("gross",), ("net",), ("currency",), ("category", "type"), ("created_utc", "created")),
)
PAYOUTS = Layout(
    name="Stripe payouts, itemised",
    columns={
        "payout": ("payout_id",),
        "effective_utc": ("effective_at_utc",),
        "effective": ("effective_at",),
        "currency": ("currency",),
        "gross": ("gross",),
        "fee": ("fee",),
        "net": ("net",),
        "category": ("reporting_category",),
        "arrival": ("payout_expected_arrival_date",),
        "status": ("payout_status",),
        "description": ("description",),
    },
    needs=(("payout",), ("gross",), ("currency",), ("effective_utc", "effective")),
)
SUMMARY = Layout(
    name="Stripe balance summary",
    columns={
        "category": ("category",),
        "net": ("net_amount",),
        "currency": ("currency",),
        "description": ("description",),
    },
    needs=(("category",), ("net",), ("currency",)),
)
LAYOUTS = (ENTRIES, PAYOUTS, SUMMARY)
RECONCILIATION = "Stripe payout reconciliation, itemised"

# The Dashboard's export has Stripe's older types; its reports call them so.
CATEGORY_OF_TYPE = {
    "payment": "charge",
    "payment_refund": "refund",
    "payment_failure_refund": "charge_failure",
    "refund_failure": "refund_failure",
    "payout_cancel": "payout_reversal",
    "payout_failure": "payout_reversal",
    "transfer": "payout",
    "stripe_fee": "fee",
    "stripe_fx_fee": "fee",
    "tax_fee": "tax",
}
COMMON_ZONES = (
    *("UTC", "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Toronto"),
    *("Europe/London", "Europe/Berlin", "Europe/Helsinki", "Australia/Sydney", "Asia/Tokyo", "Asia/Kolkata"),
)


def parse(report: Report, zone: ZoneInfo | None, is_reconciliation: bool | None = None) -> Parsed:
    """Reads every row. `zone` is that of the columns without `_utc`; None takes it from those with, or UTC.

    `is_reconciliation` says whether all rows of each payout are there; None lets the report tell.
    """
    if report.layout is SUMMARY:
        return _Summary(report).parse()
    zone = zone_of(report) or zone or ZoneInfo("UTC")
    if report.layout is PAYOUTS:
        return _Payouts(report, zone).parse()
    if is_reconciliation is None:
        is_reconciliation = _is_reconciliation(report)
    return _Entries(report, zone, is_reconciliation).parse()


def zone_of(report: Report) -> ZoneInfo | None:
    """The zone a report was run in, where it has an instant both in that zone and in UTC."""
    pairs = set()
    for local, utc in (("created", "created_utc"), ("effective", "effective_utc")):
        for row in report.rows if report.has(local) and report.has(utc) else ():
            here, there = cells.wall_clock(report.get(row, local)), cells.wall_clock(report.get(row, utc))
            if here and there:
                pairs.add((there.replace(tzinfo=UTC), here))
    whole = [f"Etc/GMT{'-' if hours >= 0 else '+'}{abs(hours)}" for hours in range(-12, 15)]
    for name in (*COMMON_ZONES, *whole) if pairs else ():
        zone = ZoneInfo(name)
        if all(utc.astimezone(zone).replace(tzinfo=None) == local for utc, local in pairs):
            return zone
    return None


def _is_reconciliation(report: Report) -> bool:
    """Whether this is the payout reconciliation report, which lists all of each payout, or the balance report, which
    lists all of a period and so only parts of its first and last payout. Both can have the same columns.
    """
    if not report.has("payout") or not all(report.text(row, "payout") for row in report.rows):
        return False
    if 0 in (report.places["payout"], report.places["id"]):
        return report.places["payout"] == 0
    raise FileError(
        "This could be the payout reconciliation report (all of each payout) or the balance report (all of a period). "
        "Say which it is."
    )


class _Reader:
    """What the readers of all three reports share."""

    def __init__(self, report: Report, name: str) -> None:
        self.report = report
        self.parsed = Parsed(report=name, rows=len(report.rows))

    def parse(self) -> Parsed:
        for row in self.report.rows:
            try:
                self.read(row)
            except ReadingError as error:
                self.parsed.refuse(row, error.column, error.value, error.text)
        self.finish()
        return self.parsed

    def read(self, row: Row) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        """After the last row."""

    def amount(self, row: Row, name: str, currency: str) -> int:
        return self.cell(row, name, lambda cell: cells.plain_amount(cell, currency))

    def currency(self, row: Row, name: str = "currency") -> str:
        return self.cell(row, name, cells.currency_code)

    def name(self, row: Row, name: str) -> str:
        found = self.report.text(row, name)
        if not found:
            raise self.wrong(row, name, "This row has no id. Export the report with this column filled.")
        return found

    def wrong(self, row: Row, name: str, text: str) -> ReadingError:
        return ReadingError(self.report.heading(name), self.report.get(row, name), text)

    def cell(self, row: Row, name: str, read: Callable[[Cell], T]) -> T:
        try:
            return read(self.report.get(row, name))
        except CellError as error:
            raise self.wrong(row, name, str(error)) from None


class _Summary(_Reader):
    """The balance at the start of a period, from which the others go on."""

    def __init__(self, report: Report) -> None:
        super().__init__(report, SUMMARY.name)

    def read(self, row: Row) -> None:
        category, currency = self.report.text(row, "category"), self.currency(row)
        amount = self.amount(row, "net", currency)
        self.parsed.add(currency, **{category: amount})
        if category == "starting_balance":
            words = self.report.text(row, "description")
            try:
                start = date.fromisoformat(words[words.rindex("(") + 1 : words.rindex(")")])
            except ValueError:
                text = "It should say the day, as in “Starting balance (2026-09-01)”. Export the report again."
                raise self.wrong(row, "description", text) from None
            self.parsed.days.add(start)
            self.parsed.settings.setdefault("statements", {})[currency] = [start.isoformat(), amount]

    def finish(self) -> None:
        for currency, sums in self.parsed.sums.items():
            gap = sums["starting_balance"] + sums["activity"] + sums["payouts"] - sums["ending_balance"]
            if gap and "ending_balance" in sums:
                text = f"The summary does not add up in {currency}: it is off by {Money(gap, currency)}."
                self.parsed.notes.append(text)


class _Dated(_Reader):
    """Reports with instants in a zone."""

    def __init__(self, report: Report, name: str, zone: ZoneInfo) -> None:
        super().__init__(report, name)
        self.zone = zone
        self.parsed.settings["time_zone"] = zone.key
        names = [each for each in ("created", "created_utc", "effective", "effective_utc") if report.has(each)]
        try:
            self.order = cells.date_order(cell for each in names for cell in report.column(each))
        except CellError as error:
            raise FileError(str(error)) from None

    def instant(self, row: Row, name: str) -> datetime:
        """Of the column in UTC, or else of the one in the report's zone."""
        utc = f"{name}_utc"
        if self.report.get(row, utc) is not None:
            return self.cell(row, utc, lambda cell: cells.instant(cell, ZoneInfo("UTC"), self.order))
        return self.cell(row, name, lambda cell: cells.instant(cell, self.zone, self.order))

    def amounts(self, row: Row, currency: str) -> tuple[int, int, int]:
        """Gross, fee and net, which must agree."""
        gross = self.amount(row, "gross", currency)
        fee = self.amount(row, "fee", currency) if self.report.get(row, "fee") is not None else 0
        net = self.amount(row, "net", currency) if self.report.get(row, "net") is not None else gross - fee
        if not self.report.has("fee"):
            fee = gross - net
        if gross - fee != net:
            text = f"Gross less fee is {Money(gross - fee, currency)}, not this. Export the report again."
            raise self.wrong(row, "net", text)
        return gross, fee, net

    def taken(self, row: Row, movement: Movement, others: list[tuple[str, Record]]) -> None:
        self.parsed.add(movement.currency, gross=movement.gross_minor, fee=movement.fee_minor, net=movement.net_minor)
        self.parsed.days.add(movement.created_at.astimezone(self.zone).date())
        objects = (("movement", movement), *others)
        self.parsed.items.append(Item(line=row.line, objects=objects, raw=self.report.raw(row)))


class _Payouts(_Dated):
    """One row a payout; a failed one has a second row for its return."""

    def __init__(self, report: Report, zone: ZoneInfo) -> None:
        super().__init__(report, PAYOUTS.name, zone)

    def read(self, row: Row) -> None:
        payout_id, currency = self.name(row, "payout"), self.currency(row)
        amounts = self.amounts(row, currency)
        effective = self.instant(row, "effective")
        returned = self.report.text(row, "category") == "payout_reversal"
        arrives = effective.date()
        if self.report.get(row, "arrival") is not None:
            arrives = self.cell(row, "arrival", lambda cell: cells.day(cell, self.order))
        movement = payout_movement(payout_id, currency, amounts, effective, returned=returned)
        status = self.report.text(row, "status").lower()
        self.taken(row, movement, [("payout", payout_of(movement, arrives, status))])


class _Entries(_Dated):
    """One row a balance transaction, with what it says of the charge, refund, dispute or payout behind it."""

    def __init__(self, report: Report, zone: ZoneInfo, is_reconciliation: bool) -> None:
        super().__init__(report, RECONCILIATION if is_reconciliation else ENTRIES.name, zone)
        self.is_reconciliation = is_reconciliation
        self.paid: dict[str, list[Movement]] = defaultdict(list)
        self.effective: dict[str, datetime] = {}

    def read(self, row: Row) -> None:
        payout_id = self.report.text(row, "payout") if self.is_reconciliation else ""
        try:
            movement = self._movement(row)
        except ReadingError:
            if payout_id:
                self.paid[payout_id].append(INCOMPLETE)
            raise
        self.taken(row, movement, self._behind(row, movement))
        if payout_id:
            self.paid[payout_id].append(movement)
            if self.report.get(row, "effective_utc") is not None or self.report.get(row, "effective") is not None:
                self.effective[payout_id] = self.instant(row, "effective")

    def _movement(self, row: Row) -> Movement:
        report, currency = self.report, self.currency(row)
        gross, fee, net = self.amounts(row, currency)
        own = report.text(row, "type")
        category = report.text(row, "category") or CATEGORY_OF_TYPE.get(own, own)
        created, source = self.instant(row, "created"), report.text(row, "source")
        if category in ("payout", "payout_reversal") and source.startswith("po_"):
            returned = category == "payout_reversal"
            return payout_movement(source, currency, (gross, fee, net), created, returned=returned)
        charge_id = report.text(row, "charge")
        if category == "partial_capture_reversal" and charge_id:
            source = charge_id  # it is the charge that became smaller
        return Movement(
            id=self.name(row, "id"),
            created_at=created,
            currency=currency,
            gross_minor=gross,
            fee_minor=fee,
            net_minor=net,
            fees=fees_of(fee),
            category=category,
            type=own or category,
            source_id=source or None,
            status="available",
            description=report.text(row, "description"),
        )

    def _behind(self, row: Row, movement: Movement) -> list[tuple[str, Record]]:
        source, category = movement.source_id or "", movement.category
        if category == "charge" and source.startswith(("ch_", "py_")):
            return [("charge", self._charge(row, movement))]
        if category in ("refund", "refund_failure") and source.startswith(("re_", "pyr_")):
            return [("refund", self._refund(row, movement))]
        if category in ("dispute", "dispute_reversal") and source:
            return [("dispute", self._dispute(row, movement))]
        if category in ("payout", "payout_reversal") and source.startswith("po_"):
            arrives = movement.created_at.date()
            if self.report.get(row, "available_utc") is not None or self.report.get(row, "available") is not None:
                arrives = self.instant(row, "available").date()
            return [("payout", payout_of(movement, arrives, ""))]
        return []

    def _charge(self, row: Row, movement: Movement) -> Charge:
        report = self.report
        currency, amount = self._facing(row, movement)
        metadata = {
            key: cells.text(row.cells[place]) for key, place in report.metadata.items() if len(row.cells) > place
        }
        metadata = {key: value for key, value in metadata.items() if value}
        if number := report.text(row, "invoice_number"):
            metadata.setdefault("invoice_number", number)
        return Charge(
            id=movement.source_id or "",
            created_at=movement.created_at,
            currency=currency,
            amount_minor=amount,
            captured_minor=amount,
            refunded_minor=0,
            status="succeeded",
            movement_id=movement.id,
            payment_intent_id=report.text(row, "intent") or None,
            customer_id=report.text(row, "customer") or None,
            customer_name=report.text(row, "customer_name") or None,
            customer_email=report.text(row, "customer_email") or None,
            description=movement.description,
            metadata=metadata,
        )

    def _refund(self, row: Row, movement: Movement) -> Refund:
        currency, amount = self._facing(row, movement)
        failed = movement.category == "refund_failure"
        return Refund(
            id=movement.source_id or "",
            created_at=movement.created_at,
            currency=currency,
            amount_minor=abs(amount),
            status="failed" if failed else "succeeded",
            charge_id=self.report.text(row, "charge") or None,
            movement_id=None if failed else movement.id,
            failure_movement_id=movement.id if failed else None,
        )

    def _dispute(self, row: Row, movement: Movement) -> Dispute:
        """Reports do not say how it ended; only that money came back."""
        currency, amount = self._facing(row, movement)
        return Dispute(
            id=movement.source_id or "",
            created_at=movement.created_at,
            currency=currency,
            amount_minor=abs(amount),
            status="won" if movement.category == "dispute_reversal" else "unknown",
            charge_id=self.report.text(row, "charge") or None,
            movement_ids=(movement.id,),
            reason=self.report.text(row, "dispute_reason") or None,
        )

    def _facing(self, row: Row, movement: Movement) -> tuple[str, int]:
        """What the customer paid or got, in their currency; without that, what was settled."""
        if self.report.get(row, "facing_amount") is None or self.report.get(row, "facing_currency") is None:
            return movement.currency, movement.gross_minor
        currency = self.currency(row, "facing_currency")
        return currency, self.amount(row, "facing_amount", currency)

    def finish(self) -> None:
        """The payouts themselves, which a reconciliation report has no rows of: each is what its rows come to."""
        for payout_id, movements in sorted(self.paid.items()):
            currencies = {movement.currency for movement in movements}
            if INCOMPLETE in movements or len(currencies) != 1 or payout_id not in self.effective:
                text = f"Payout {payout_id} could not be taken over: not all of its rows could be read."
                self.parsed.notes.append(text)
                continue
            effective, net = self.effective[payout_id], sum(movement.net_minor for movement in movements)
            own = payout_movement(payout_id, currencies.pop(), (-net, 0, -net), effective, returned=False)
            ids = tuple(sorted([*(movement.id for movement in movements), own.id]))
            objects = (
                ("movement", own),
                ("payout", payout_of(own, effective.date(), "")),
                ("payout_items", PayoutItems(id=payout_id, movement_ids=ids)),
            )
            self.parsed.rest.append(Item(line=0, objects=objects))
            self.parsed.days.add(effective.astimezone(self.zone).date())


def fees_of(fee: int) -> tuple[Fee, ...]:
    return (Fee(kind="stripe_fee", amount_minor=fee),) if fee else ()


def payout_movement(
    payout_id: str, currency: str, amounts: tuple[int, int, int], at: datetime, *, returned: bool
) -> Movement:
    """The entry of a payout, or of its return: named after the payout, for only some reports know its own id."""
    gross, fee, net = amounts
    category = "payout_reversal" if returned else "payout"
    return Movement(
        id=f"{payout_id}-{category}",
        created_at=at,
        currency=currency,
        gross_minor=gross,
        fee_minor=fee,
        net_minor=net,
        fees=fees_of(fee),
        category=category,
        type=category,
        source_id=payout_id,
        status="available",
    )


def payout_of(movement: Movement, arrives: date, status: str) -> Payout:
    """`status` empty: the report does not say."""
    returned = movement.category == "payout_reversal"
    return Payout(
        id=movement.source_id or "",
        created_at=movement.created_at,
        currency=movement.currency,
        amount_minor=abs(movement.gross_minor) if returned else -movement.gross_minor,
        status=status or ("failed" if returned else ""),
        arrives_on=arrives,
        automatic=True,
        movement_id=None if returned else movement.id,
        failure_movement_id=movement.id if returned else None,
    )


INCOMPLETE = payout_movement("", "", (0, 0, 0), datetime(1970, 1, 1, tzinfo=UTC), returned=False)
