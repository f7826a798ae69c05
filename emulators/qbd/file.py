"""A company file of QuickBooks Desktop: what a user does with it, and the sessions applications open on it."""

from collections.abc import Sequence
from datetime import date
from zoneinfo import ZoneInfo

from emulators.clock import Clock
from emulators.qbd import chart, extensions, lists, transactions
from emulators.qbd.books import Books
from emulators.qbd.company import Company, Switches
from emulators.qbd.open_items import OpenItems
from emulators.qbd.pc import Pc
from emulators.qbd.processor import Inspector, Session
from emulators.qbd.records import TRANSACTIONS, Records
from emulators.qbd.refusals import Failed
from emulators.qbd.show import show
from emulators.store import Body, Store

FOLDER = r"C:\Users\Public\Documents\Intuit\QuickBooks\Company Files"


class CompanyFile:
    """`inspect` sees every message in and out (a test holds them to the XSD)."""

    def __init__(
        self, clock: Clock, *, name: str = "Larkspur Studio LLC", store: Store | None = None,
        zone: str = "America/New_York", currencies: Sequence[str] = ("EUR", "GBP", "JPY"),
        switches: Switches | None = None, inspect: Inspector | None = None,
    ) -> None:  # fmt: skip
        self.store, self.inspect = store or Store(), inspect
        self.path = rf"{FOLDER}\{name}.qbw"
        self.pc = Pc(clock, ZoneInfo(zone))
        self.switches = switches or Switches()
        records = Records(self.store, self.pc)
        self.company = Company(records, Books(records, ""), OpenItems(records), self.switches)
        chart.found(self.company, name, currencies)
        self.company.books.home = self.company.settings["home"]
        self.is_running, self.has_dialog, self.sessions = True, False, 0

    # --- applications ---

    def begin_session(self, application: str, path: str = "") -> Session:
        """OpenConnection and BeginSession; `path` empty: whatever is open. Raises `Failed`."""
        if not self.is_running:
            raise Failed("0x80040416", "QuickBooks is not running and no company file is open.")
        if self.has_dialog:
            raise Failed("0x80040414", "A modal dialog box is showing in the QuickBooks user interface.")
        if path and path.casefold() != self.path.casefold():
            raise Failed("0x8004040A", "Another QuickBooks company data file is already open.")
        if self.company.settings.get("single_user"):
            raise Failed(
                "0x80040410", "The company data file is open in a mode other than the one your application asks."
            )
        self.sessions += 1
        return Session(self.company, application, self.inspect)

    # --- people ---

    def add(self, kind: str, body: Body) -> Body:
        """A user writes a document or a list entry; given as qbXML would show it."""
        changes = transactions if kind in TRANSACTIONS else lists
        return self.shown(kind, changes.add(self.company, kind, body))

    def edit(self, kind: str, object_id: str, **changes: object) -> Body:
        """A user changes fields; None takes one away."""
        body = self.company.records.require(kind, object_id)
        with self.store.transaction():
            change = transactions.change if kind in TRANSACTIONS else lists.change
            return self.shown(kind, change(self.company, kind, body, dict(changes)))

    def delete(self, kind: str, object_id: str) -> None:
        (transactions if kind in TRANSACTIONS else lists).delete(self.company, kind, object_id)

    def void(self, kind: str, txn_id: str) -> None:
        transactions.void(self.company, kind, txn_id)

    def lock(self, object_id: str, words: int = 0) -> None:
        """Somebody has it open; `words` picks the text QuickBooks refuses with."""
        self.company.records.lock(object_id, words)

    def unlock(self, object_id: str) -> None:
        self.company.records.unlock(object_id)

    def set(self, **preferences: str | bool | None) -> None:
        self.company.set(**preferences)

    # --- looking at it ---

    def shown(self, kind: str, body: Body) -> Body:
        return show(self.company, kind, body, owners=[each["OwnerID"] for each in extensions.definitions(self.company)])

    def all(self, kind: str) -> list[Body]:
        return [self.shown(kind, body) for body in self.store.find(kind, oldest_first=True)]

    def get(self, kind: str, object_id: str) -> Body | None:
        body = self.company.records.get(kind, object_id)
        return None if body is None else self.shown(kind, body)

    def named(self, kind: str, full_name: str) -> Body | None:
        body = self.company.records.named(full_name, kind)
        return None if body is None else self.shown(kind, body)

    def trial_balance(self, as_of: date | None = None) -> dict[str, int]:
        """Hundredths of home currency per account; they sum to zero."""
        return self.company.books.trial_balance(as_of)

    # --- the file itself ---

    def backup(self) -> Store:
        copy = Store()
        self.store.copy_to(copy)
        return copy

    def restore(self, backup: Store) -> None:
        """Everything since is gone, the states of message sets with it."""
        backup.copy_to(self.store)
