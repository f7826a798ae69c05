"""What a person would export from the stand-ins: Stripe's reports as CSV, QuickBooks' as CSV and Excel.

Columns and shapes as the vendors document or write them (docs/FILES.md): Stripe in major units with an instant in the
report's zone and one in UTC, QuickBooks with titles above the header, sections an account, totals and a footer.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from openpyxl import Workbook

from emulators.qbo.emulator import QboEmulator
from emulators.stripe.emulator import StripeEmulator
from reconcile.money import to_decimal

Body = dict[str, Any]
Rows = Iterable[Sequence[Any]]

ENTRY = [
    *("balance_transaction_id", "created_utc", "created", "available_on_utc", "available_on", "currency"),
    *("gross", "fee", "net", "reporting_category", "source_id", "description"),
    *("customer_facing_amount", "customer_facing_currency"),
    *("automatic_payout_id", "automatic_payout_effective_at_utc", "automatic_payout_effective_at"),
    *("customer_id", "customer_email", "customer_name", "charge_id", "payment_intent_id", "invoice_number"),
]
PAYOUT = [
    *("payout_id", "effective_at_utc", "effective_at", "currency", "gross", "fee", "net", "reporting_category"),
    *("balance_transaction_id", "description", "payout_expected_arrival_date", "payout_status"),
]
DETAIL = ["", "Date", "Transaction Type", "Num", "Name", "Memo/Description", "Split", "Amount", "Balance"]
LIST = ["Date", "Transaction Type", "Num", "Name", "Memo/Description", "Due Date", "Amount", "Open Balance"]
TYPES = {
    "Invoice": "Invoice",
    "Payment": "Payment",
    "SalesReceipt": "Sales Receipt",
    "RefundReceipt": "Refund",
    "CreditMemo": "Credit Memo",
    "Purchase": "Expense",
    "Deposit": "Deposit",
    "Transfer": "Transfer",
    "JournalEntry": "Journal Entry",
}


def csv_of(header: Sequence[str], rows: Rows, separator: str = ",") -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator)
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def xlsx_of(rows: Rows) -> bytes:
    book = Workbook()
    for row in rows:
        book.active.append(list(row))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


# ---- Stripe


class StripeReports:
    """The reports of one emulated account, run in a zone for entries from a day on."""

    def __init__(self, stripe: StripeEmulator, zone: str, since: date) -> None:
        self.store, self.zone = stripe.office.store, ZoneInfo(zone)
        self.start = datetime.combine(since, datetime.min.time(), self.zone).timestamp()
        self.payouts = {body["id"]: body for body in self.store.find("payout")}
        self.charges = {body["id"]: body for body in self.store.find("charge")}
        self.refunds = {body["id"]: body for body in self.store.find("refund")}
        self.disputes = {body["id"]: body for body in self.store.find("dispute")}
        invoices = {body["id"]: body for body in self.store.find("invoice")}
        paid = [body for body in self.store.find("invoice_payment") if body["status"] == "paid"]
        self.numbers = {body["_payment_intent"]: invoices[body["invoice"]]["number"] for body in paid}

    def balance(self) -> str:
        """Itemised balance change from activity: everything but payouts."""
        entries = [each for each in self._activity() if each["created"] >= self.start]
        return csv_of(ENTRY, [self._entry(each) for each in entries])

    def summary(self) -> str:
        """What was there at the start; a payout counts on the day it arrives."""
        starts: dict[str, int] = defaultdict(int)
        for entry in self._activity():
            starts[entry["currency"]] += entry["net"] if entry["created"] < self.start else 0
        for entry in self._payouts():
            early = self.payouts[entry["source"]]["arrival_date"] < self.start
            starts[entry["currency"]] += entry["net"] if early else 0
        words = f"Starting balance ({datetime.fromtimestamp(self.start, self.zone):%Y-%m-%d})"
        rows = [["starting_balance", words, to_decimal(each, code.upper()), code] for code, each in starts.items()]
        return csv_of(["category", "description", "net_amount", "currency"], rows)

    def reconciliation(self) -> str:
        """Itemised payout reconciliation: all of each payout that was made from the day on."""
        entries = [each for each in self._entries() if each["_payout"] and each["source"] != each["_payout"]]
        entries = [each for each in entries if self.payouts[each["_payout"]]["created"] >= self.start]
        order = [ENTRY.index("automatic_payout_id"), *(n for n, name in enumerate(ENTRY) if "payout_id" not in name)]
        rows = [self._entry(each) for each in entries]
        return csv_of([ENTRY[n] for n in order], [[row[n] for n in order] for row in rows])

    def payouts_report(self) -> str:
        rows = []
        for entry in self._payouts():
            payout = self.payouts[entry["source"]]
            if payout["arrival_date"] >= self.start:
                arrives = datetime.fromtimestamp(payout["arrival_date"], UTC)
                rows.append(
                    [
                        *(payout["id"], *self._times(payout["arrival_date"]), entry["currency"]),
                        *(_major(entry, name) for name in ("amount", "fee", "net")),
                        *(entry["reporting_category"], entry["id"], "STRIPE PAYOUT"),
                        *(arrives.date().isoformat(), payout["status"]),
                    ]
                )
        return csv_of(PAYOUT, rows)

    def _entries(self) -> list[Body]:
        found = self.store.find("balance_transaction", oldest_first=True)
        return [body for body in found if body["balance_type"] == "payments"]

    def _payouts(self) -> list[Body]:
        return [each for each in self._entries() if each["reporting_category"] in ("payout", "payout_reversal")]

    def _activity(self) -> list[Body]:
        return [each for each in self._entries() if each["reporting_category"] not in ("payout", "payout_reversal")]

    def _entry(self, entry: Body) -> list[Any]:
        source = entry["source"] or ""
        facing = self.charges.get(source) or self.refunds.get(source) or self.disputes.get(source)
        charge = self.charges.get(source) or self.charges.get((facing or {}).get("charge") or "") or {}
        payout = self.payouts.get(entry["_payout"] or "")
        sign = -1 if entry["amount"] < 0 else 1
        billing = charge.get("billing_details") or {}
        return [
            *(entry["id"], *self._times(entry["created"]), *self._times(entry["available_on"]), entry["currency"]),
            *(_major(entry, name) for name in ("amount", "fee", "net")),
            *(entry["reporting_category"], source, entry["description"]),
            to_decimal(sign * facing["amount"], facing["currency"].upper()) if facing else "",
            facing["currency"] if facing else "",
            *((payout["id"], *self._times(payout["arrival_date"])) if payout else ("", "", "")),
            *(charge.get("customer"), billing.get("email"), billing.get("name"), charge.get("id")),
            *(charge.get("payment_intent"), self.numbers.get(charge.get("payment_intent"), "")),
        ]

    def _times(self, seconds: int) -> tuple[str, str]:
        """In UTC, and on the report's clock."""
        return tuple(f"{datetime.fromtimestamp(seconds, zone):%Y-%m-%d %H:%M:%S}" for zone in (UTC, self.zone))


def _major(entry: Body, name: str) -> Decimal:
    return to_decimal(entry[name], entry["currency"].upper())


# ---- QuickBooks


class BooksReports:
    """The reports of one emulated company, from a day on."""

    def __init__(self, qbo: QboEmulator, since: date) -> None:
        self.qbo, self.since = qbo, since
        self.accounts = {body["Id"]: body["Name"] for body in qbo.store.find("Account")}
        self.names = {f"{kind}:{each['Id']}": each["DisplayName"] for kind in ("Customer", "Vendor") for each in
                      qbo.store.find(kind)}  # fmt: skip
        self.documents = {
            f"{entity}:{body['Id']}": body for entity in TYPES for body in qbo.store.find(entity, oldest_first=True)
        }

    def detail(self, *names: str) -> list[list[Any]]:
        """Transaction Detail by Account for some accounts, with sums and footer as QuickBooks writes them."""
        sections = self._sections()
        rows: list[list[Any]] = [
            ["Emulated Company"],
            ["Transaction Detail by Account"],
            [f"{self.since:%B} {self.since.day} - December 31, 2026"],
            [],
            DETAIL,
        ]
        for name in names:
            account_id = next(each for each, known in self.accounts.items() if known == name)
            before = self.qbo.account_balance(account_id, self.since - timedelta(days=1))
            rows += [[name], ["", "Beginning Balance", *([""] * 6), to_decimal(before, "USD")]]
            total = Decimal(0)
            for day, key, amount in sections[account_id]:
                total += amount
                rows.append(["", f"{day:%m/%d/%Y}", *self._words(key), amount, total + to_decimal(before, "USD")])
            rows.append([f"Total for {name}", *([""] * 6), f"${total:,.2f}" if total >= 0 else f"$({-total:,.2f})"])
        return [*rows, [], ["Accrual Basis Friday, November 20, 2026 04:12 PM GMT-05:00"]]

    def invoices(self) -> str:
        """Invoice List: what was billed and what of it is open."""
        rows = []
        for key, body in self.documents.items():
            if key.startswith("Invoice:") and body["CurrencyRef"]["value"] == "USD":
                day, due = (date.fromisoformat(body[name]) for name in ("TxnDate", "DueDate"))
                amounts = [f"{Decimal(str(body[name])):,.2f}" for name in ("TotalAmt", "Balance")]
                rows.append([f"{day:%m/%d/%Y}", *self._words(key)[:-1], f"{due:%m/%d/%Y}", *amounts])
        total = sum((Decimal(row[-2].replace(",", "")) for row in rows), Decimal(0))
        titles = "Emulated Company\nInvoice List\nAll dates\n\n"
        return titles + csv_of(LIST, [*rows, ["TOTAL", *([""] * 5), f"${total:,.2f}", ""]])

    def _sections(self) -> dict[str, list[tuple[date, str, Decimal]]]:
        """By account: day, document and amount, debits positive."""
        found: dict[str, list[tuple[date, str, Decimal]]] = defaultdict(list)
        for key in self.documents:
            entry = self.qbo.store.get("legs", key)
            for account_id, _, own, _ in entry["rows"] if entry else ():
                day = date.fromisoformat(entry["day"])
                if day >= self.since and own:
                    found[account_id].append((day, key, to_decimal(own, "USD")))
        return {account_id: sorted(rows) for account_id, rows in found.items()} | {
            account_id: [] for account_id in self.accounts if account_id not in found
        }

    def _words(self, key: str) -> list[Any]:
        """Type, number, name, memo, and the other account, which nobody reads here."""
        entity, body = key.partition(":")[0], self.documents[key]
        party = body.get("CustomerRef") or (body.get("EntityRef") or {})
        kind = "Customer" if "CustomerRef" in body else "Vendor"
        name = self.names.get(f"{kind}:{party.get('value')}", "")
        number = body.get("DocNumber") or body.get("PaymentRefNum") or ""
        return [TYPES[entity], number, name, body.get("PrivateNote", ""), "-Split-"]
