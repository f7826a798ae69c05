"""QuickBooks' reports as documents: a list of transactions (or invoices), or the transactions of accounts.

The columns are those of QuickBooks Online's reports "Transaction List by Date", "Invoice List", "Open Invoices",
"Transaction Detail by Account", "General Ledger" and "Account QuickReport" [unverified: taken from exports that other
programs read; every column but date, type and amount may be missing]. They carry no ids of QuickBooks, so a document
is known by what it says: an invoice by its number and customer, any other by type, day, number, name and amount.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal, TypeVar

from reconcile.money import Money, to_decimal
from reconcile.names import marker_of, stripe_ids
from reconcile.records import AccountLeg, Customer, Document, DocumentKind, Record
from sync.files import cells
from sync.files.cells import CellError
from sync.files.report import Item, Layout, Parsed, ReadingError, Report
from sync.files.table import Cell, FileError, Row

COLUMNS = {
    "date": ("Date", "Transaction date", "Invoice date"),
    "type": ("Transaction type", "Type"),
    "number": ("Num", "No.", "#", "Number", "Invoice no.", "Invoice number", "Doc num"),
    "name": ("Name", "Customer", "Customer full name", "Client full name", "Customer/Project", "Payee", "Vendor"),
    "memo": ("Memo/Description", "Memo", "Description"),
    "own_account": ("Distribution account",),
    "account": ("Account", "Account full name", "Account name", "Full name"),
    "split": ("Split", "Item split account", "Split account"),
    "amount": ("Amount", "Total", "Total amount"),
    "debit": ("Debit",),
    "credit": ("Credit",),
    "foreign": ("Foreign amount",),
    "currency": ("Currency", "Transaction currency"),
    "balance": ("Balance",),
    "open": ("Open balance", "Balance due", "Open amount"),
    "due": ("Due date",),
    "status": ("Status",),
    "email": ("Email", "Customer email", "Bill email"),
    "posting": ("Posting", "Posting (Y/N)"),
}
LIST = Layout(
    name="QuickBooks transaction list",
    columns=COLUMNS,
    needs=(("date",), ("type", "due"), ("amount", "debit", "credit", "open")),
)
LAYOUTS = (LIST,)
DETAIL = "QuickBooks transactions by account"

KINDS: dict[str, DocumentKind] = {
    "invoice": "invoice",
    "payment": "payment",
    "receive payment": "payment",
    "sales receipt": "sales_receipt",
    "refund": "refund_receipt",
    "refund receipt": "refund_receipt",
    "credit memo": "credit_memo",
    "credit note": "credit_memo",
    "expense": "purchase",
    "cash expense": "purchase",
    "check": "purchase",
    "cheque": "purchase",
    "cheque expense": "purchase",
    "bill payment check": "purchase",
    "bill payment cheque": "purchase",
    "deposit": "deposit",
    "transfer": "transfer",
    "journal entry": "journal_entry",
    "journal": "journal_entry",
}
AMOUNTS = ("amount", "debit", "credit", "open")
INCOMING, OUTGOING = ("payment", "sales_receipt"), ("refund_receipt", "purchase")
IN_RECEIVABLES = ("invoice", "payment", "credit_memo")
# Of these Tieout plans the same document again, and finds by its marker that it is there. Others it finds by their ids.
MARKED = ("purchase", "deposit", "journal_entry")
PAID, OPEN = ("paid", "closed", "deposited", "voided"), ("open", "overdue", "due", "sent", "viewed", "unpaid", "not")
BEGINNING, BEGINNING_ID = "beginning balance", "beginning balance"
NAME_SHOWN = 40  # letters of a name in what stands for an id
BY_ACCOUNT = ("detail by account", "general ledger", "quickreport", "account register")
T = TypeVar("T")


@dataclass(slots=True)
class _Section:
    """What stands under one heading: the rows of an account, or of a customer."""

    name: str
    sum_minor: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    ours: Counter[str] = field(default_factory=Counter)  # sums of documents with a marker, by id


def parse(report: Report, currency: str, clearing: str | None, order: cells.DateOrder | None) -> Parsed:
    """Reads every row. `currency` is the company's own, `clearing` the name of the account that stands for Stripe;
    None takes it from the report. `order` is how its days are written where that cannot be told from them.

    Raises FileError where a question must be answered first.
    """
    return _Reader(report, currency, clearing, order).parse()


def is_detail(report: Report) -> bool:
    """Whether the rows are the two sides of accounts rather than whole documents."""
    titled = any(words in line.casefold() for line in report.title for words in BY_ACCOUNT)
    return titled or report.has("own_account") or (report.has("split", "balance") and not report.has("account"))


class _Reader:
    def __init__(self, report: Report, currency: str, clearing: str | None, order: cells.DateOrder | None) -> None:
        self.report, self.currency = report, currency
        self.is_detail = is_detail(report)
        self.parsed = Parsed(report=DETAIL if self.is_detail else LIST.name)
        self.order = order or _order(report)
        amounts = [cell for name in AMOUNTS for cell in report.column(name)]
        self.mark = cells.decimal_mark(amounts)
        self.sections = [_Section("")]
        self.clearing = clearing or _clearing(self._accounts(), must=self.is_detail)
        if self.clearing:
            self.parsed.settings["clearing"] = self.clearing
        if not self.is_detail:
            self.parsed.unsure.add("legs")
        if not report.has("open", "status"):
            self.parsed.unsure.add("open_minor")
        self.refused = 0

    def parse(self) -> Parsed:
        for row in self.report.rows:
            self._row(row)
        if "open_minor" in self.parsed.unsure and self._has_invoices():
            self.parsed.notes.append(
                "This report does not say what is open on an invoice. Where no other report does, it counts as unpaid: "
                "add the column Open balance, or import the Invoice List too."
            )
        return self.parsed

    def _has_invoices(self) -> bool:
        return any(kind == "invoice" for item in self.parsed.items for kind, _ in item.objects)

    # ---- what a row is

    def _row(self, row: Row) -> None:
        words = self._words(row)
        match self._sort(row, words):
            case "total":
                self._check_total(row, words[0])
            case "beginning":
                self._beginning(row)
            case "section":
                self.sections.append(_Section(words[0]))
            case "stray":
                self._refuse(row, ReadingError("Date", None, "This row has an amount but no date. Fill it in."))
            case "document":
                self.parsed.rows += 1
                try:
                    self._document(row)
                except ReadingError as error:
                    self._refuse(row, error)

    def _sort(self, row: Row, words: list[str]) -> Literal["total", "beginning", "section", "stray", "document", ""]:
        first = words[0].casefold()
        is_total = first == "total" or first.startswith("total for ")
        if is_total or (first.startswith("total ") and len(words) > 1 and self.report.get(row, "type") is None):
            return "total"  # but not a customer called Total Logistics, alone in its line
        if any(word.casefold() == BEGINNING for word in words[:2]):
            return "beginning"
        if len(words) == 1:
            return "section"
        if words == [heading for heading in self.report.headings if heading]:
            return ""  # the header again, as on a new page
        if self.report.get(row, "date") is None:
            return "stray" if any(self.report.get(row, name) is not None for name in AMOUNTS) else ""
        return "document"

    def _words(self, row: Row) -> list[str]:
        return [cells.text(cell) for cell in row.cells if cell is not None]

    def _refuse(self, row: Row, error: ReadingError) -> None:
        self.refused += 1
        self.parsed.refuse(row, error.column, error.value, error.text)

    # ---- one document

    def _document(self, row: Row) -> None:
        report = self.report
        dated = self._cell(row, "date", lambda cell: cells.day(cell, self.order))
        amount, currency = self._amount(row)
        self.sections[-1].sum_minor += amount
        account = self._account(row)
        word = report.text(row, "type")
        kind = KINDS.get(cells_key(word)) if report.has("type") else "invoice"
        legs = self._legs(row, kind, account, amount)
        if why := self._not_needed(row, kind, word, account, legs):
            self.parsed.not_needed[why] += 1
            return
        document = self._make(row, kind or "journal_entry", dated, amount, currency, account, legs)
        document = self._with_earlier(document, amount)
        objects: list[tuple[str, Record]] = [(document.kind, document)]
        if document.customer_id:
            name = document.customer_id
            objects.append(("customer", Customer(id=name, name=name, email=document.customer_email)))
        self.parsed.items.append(Item(line=row.line, objects=tuple(objects), raw=report.raw(row)))
        self.parsed.days.add(dated)
        self.parsed.add(currency, amount=amount)

    def _make(
        self,
        row: Row,
        kind: DocumentKind,
        dated: date,
        amount: int,
        currency: str,
        account: str,
        legs: tuple[AccountLeg, ...],
    ) -> Document:
        report = self.report
        number, name, memo = report.text(row, "number"), report.text(row, "name"), report.text(row, "memo")
        if not name and not report.has("name") and not self.is_detail:
            name = self.sections[-1].name
        key = self._key(kind, dated, number, name, memo, amount)
        is_customer = kind in ("invoice", "payment", "sales_receipt", "refund_receipt", "credit_memo")
        due = report.get(row, "due")
        return Document(
            id=f"{kind}:{key}",
            kind=kind,
            ledger_id=key,
            version="",
            currency=currency,
            amount_minor=abs(amount),
            dated=dated,
            open_minor=self._open(row, kind, abs(amount), currency),
            due_date=None if due is None else self._cell(row, "due", lambda cell: cells.day(cell, self.order)),
            customer_id=name or None if is_customer else None,
            customer_name=name or None,
            customer_email=report.text(row, "email") or None,
            doc_number=number or None,
            memo=memo,
            marker=marker_of(memo) if kind in MARKED else None,
            external_ids=stripe_ids(memo, number),
            account_id=account if legs or not self.is_detail else None,
            legs=legs,
            voided=not amount and "void" in memo.casefold(),
        )

    def _key(self, kind: str, dated: date, number: str, name: str, memo: str, amount: int) -> str:
        """Like documents of one day are told apart by their order in the report; ours by their markers.

        People read it where QuickBooks' own id would stand. It is never a bare number, as those ids are.
        """
        marker = marker_of(memo)
        day, figure = dated.isoformat(), str(to_decimal(abs(amount), self.currency))
        if marker is not None:
            said, shown = [kind, marker], "tieout"
        elif kind == "invoice" and number:
            said, shown = [kind, number.casefold(), name.casefold()], f"no {cells_key(number)[:NAME_SHOWN]}"
        else:
            said = [kind, day, number.casefold(), name.casefold(), figure]
            shown = " ".join(filter(None, (day, cells_key(name)[:NAME_SHOWN], figure)))
        key = f"{shown} #{hashlib.sha256(chr(31).join(said).encode()).hexdigest()[:10]}"
        seen = self.sections[-1].seen
        seen[key] += 1
        return key if seen[key] == 1 or marker is not None else f"{key}-{seen[key]}"

    def _with_earlier(self, document: Document, amount: int) -> Document:
        """A document of ours that several lines of one account tell of is what they are together."""
        if marker_of(document.memo) is None:
            return document
        ours = self.sections[-1].ours
        ours[document.id] += amount
        legs = tuple(replace(leg, amount_minor=ours[document.id]) for leg in document.legs)
        return replace(document, legs=legs, amount_minor=abs(ours[document.id]))

    def _legs(self, row: Row, kind: str | None, account: str, amount: int) -> tuple[AccountLeg, ...]:
        """What it does to the clearing account. Lists sign by the kind of document where that is certain."""
        if self.clearing is None:
            return ()
        if same(account, self.clearing):
            if not self.is_detail and kind in (*INCOMING, *OUTGOING):
                amount = abs(amount) if kind in INCOMING else -abs(amount)
            return (AccountLeg(account_id=self.clearing, amount_minor=amount),)
        if not self.is_detail and same(self.report.text(row, "split"), self.clearing):
            return (AccountLeg(account_id=self.clearing, amount_minor=-amount),)
        return ()

    def _not_needed(
        self, row: Row, kind: str | None, word: str, account: str, legs: tuple[AccountLeg, ...]
    ) -> str | None:
        """Why a row takes no part; None if it does. Whatever moves the clearing account does."""
        if self.report.text(row, "posting").casefold() in ("n", "no"):
            return "not posted in QuickBooks"
        if legs:
            return None
        if self.is_detail and not (is_receivable(account) and kind in IN_RECEIVABLES):
            return "of other accounts"
        return None if kind else f"of the type {word or 'without a name'}"

    # ---- its parts

    def _account(self, row: Row) -> str:
        if not self.is_detail:
            return self.report.text(row, "account")
        return self._own_account(row, self.sections[-1].name)

    def _own_account(self, row: Row, section: str) -> str:
        """Of a row of a report by account."""
        by_column = "own_account" if self.report.has("own_account") else "account"
        return self.report.text(row, by_column) or section

    def _amount(self, row: Row) -> tuple[int, str]:
        """In the document's own currency."""
        report, currency = self.report, self.currency
        name = next((each for each in ("amount", "open") if report.has(each)), "")
        if report.get(row, "currency") is not None:
            currency = self._cell(row, "currency", cells.currency_code)
        if currency != self.currency:
            if not report.has("foreign"):
                text = "The report has no column “Foreign amount” for rows in other currencies. Export it with that."
                raise ReadingError(report.heading("currency"), report.get(row, "currency"), text)
            return self._minor(row, "foreign", currency), currency
        if not name or (name == "open" and report.has("debit", "credit")):
            sides = [
                self._minor(row, side, currency) if report.get(row, side) is not None else 0
                for side in ("debit", "credit")
            ]
            return sides[0] - sides[1], currency
        return self._minor(row, name, currency), currency

    def _minor(self, row: Row, name: str, currency: str) -> int:
        return self._cell(row, name, lambda cell: cells.amount(cell, currency, self.mark))

    def _open(self, row: Row, kind: str, amount: int, currency: str) -> int:
        """What is unpaid of an invoice: by its column, else by its status, else all of it."""
        if kind != "invoice":
            return 0
        if self.report.get(row, "open") is not None:
            return max(0, self._minor(row, "open", currency))
        status = cells_key(self.report.text(row, "status"))
        if status.startswith(PAID):
            return 0
        if not status or status.startswith(OPEN):
            return amount
        text = "Whether this invoice is paid is not certain. Add the column Open balance to the report."
        raise ReadingError(self.report.heading("status"), self.report.get(row, "status"), text)

    def _cell(self, row: Row, name: str, read: Callable[[Cell], T]) -> T:
        cell = self.report.get(row, name)
        try:
            return read(cell)
        except CellError as error:
            raise ReadingError(self.report.heading(name), cell, str(error)) from None

    # ---- rows that are no documents

    def _check_total(self, row: Row, words: str) -> None:
        """The report's own totals, where they are saved as figures, against what was read."""
        name = words[len("total") :].strip().removeprefix("for ").strip()
        name = name.removesuffix(" with sub-accounts").strip()
        places = [place for place, each in enumerate(self.sections) if same(each.name, name)]
        if not places:
            return
        ended = self.sections[places[-1] :]
        read_minor = sum(each.sum_minor for each in ended)
        if places[-1]:  # a section has ended; the whole report goes on to its last row
            del self.sections[places[-1] :]
            self.sections[-1].sum_minor += read_minor
        cell = self.report.get(row, "amount")
        if cell is None:
            return
        try:
            total = cells.amount(cell, self.currency, self.mark)
        except CellError:
            return
        if total != read_minor:
            says, read = Money(total, self.currency), Money(read_minor, self.currency)
            why = f" {self.refused:,} rows were refused." if self.refused else ""
            of = f" for {name}" if name else ""
            self.parsed.notes.append(f"The report's total{of} is {says}; what was read comes to {read}.{why}")

    def _beginning(self, row: Row) -> None:
        """What the clearing account held before the first row, as an entry before everything else."""
        account = self._account(row)
        if not self.is_detail or not self.clearing or not same(account, self.clearing):
            return
        name = "balance" if self.report.get(row, "balance") is not None else "amount"
        try:
            amount = self._minor(row, name, self.currency)
        except ReadingError as error:
            self._refuse(row, error)
            return
        self.parsed.settings["beginning"] = amount

    # ---- questions

    def _accounts(self) -> list[str]:
        """Every account that occurs, in order."""
        found: dict[str, None] = {}
        section = ""
        for row in self.report.rows:
            words = self._words(row)
            kind = self._sort(row, words)
            if kind == "section":
                section = words[0]
            elif kind == "document" and self.is_detail:
                found[self._own_account(row, section)] = None
            elif kind == "document":
                found |= {self.report.text(row, name): None for name in ("account", "split")}
        return [name for name in found if name]


def beginning(clearing: str, currency: str, amount: int, dated: date) -> Document:
    """The balance a report of the clearing account begins with."""
    return Document(
        id=f"journal_entry:{BEGINNING_ID}",
        kind="journal_entry",
        ledger_id=BEGINNING_ID,
        version="",
        currency=currency,
        amount_minor=abs(amount),
        dated=dated,
        memo=f"Beginning balance of {clearing}",
        account_id=clearing,
        legs=(AccountLeg(account_id=clearing, amount_minor=amount),),
    )


def _order(report: Report) -> cells.DateOrder | None:
    days = [cell for name in ("date", "due") for cell in report.column(name)]
    try:
        order = cells.date_order(days)
    except CellError as error:
        raise FileError(str(error)) from None
    if order is None and cells.needs_order(days):
        raise FileError("Its dates could begin with the day or with the month. Say which.")
    return order


def _clearing(accounts: list[str], *, must: bool) -> str | None:
    """The account that stands for the Stripe balance, if that is plain from its name."""
    exact = [name for name in accounts if cells_key(name.rpartition(":")[2]).endswith("stripe clearing")]
    others = ("fee", "dispute", "reserve", "loss", "refund", "payable", "expense", "income", "sales")
    likely = [
        name for name in accounts if "stripe" in name.casefold() and not any(word in name.casefold() for word in others)
    ]
    banks = accounts if len(accounts) == 1 and not is_receivable(accounts[0]) else []
    for found in (exact, likely, banks):
        if len(found) == 1:
            return found[0]
    if must and not all(is_receivable(name) for name in accounts):
        raise FileError("Which of its accounts stands for the Stripe balance? Say the name of the clearing account.")
    return None


def is_receivable(account: str) -> bool:
    words = cells_key(account)
    return "accounts receivable" in words or "debtors" in words or words == "a r"


def same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


def cells_key(text: str) -> str:
    return " ".join("".join(letter if letter.isalnum() else " " for letter in text.casefold()).split())
