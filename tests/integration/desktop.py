"""A company that keeps its books in QuickBooks Desktop, on the stand-ins, visited by its Web Connector."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from emulators.clock import Clock, Rng
from emulators.qbd import CompanyFile, Faults, WebConnector, extensions
from emulators.server import serve
from emulators.store import Store
from emulators.stripe.emulator import StripeEmulator
from reconcile.names import MARKER
from reconcile.postings import Mappings, Policies
from storage import connections, users
from storage.engine import Database
from storage.records import to_json
from storage.vault import open_vault
from sync import connecting, desktop
from sync.clock import SystemRng
from sync.environment import Environment
from sync.processes import make_worker
from sync.web import hooks_app
from sync.worker import Worker
from tests.contract.qbd_file import new_file
from tests.integration.conftest import START, HurriedClock

KINDS = ("ReceivePayment", "Check", "Deposit", "Transfer", "JournalEntry", "CreditMemo", "ARRefundCreditCard")
ROLES = {
    "disputes_receivable": "Disputes receivable",
    "dispute_losses": "Dispute losses",
    "dispute_fees": "Dispute fees",
}


@dataclass
class Desktop:
    """Stripe, a company file, its Web Connector, and Tieout between them."""

    clock: Clock
    stripe: StripeEmulator
    file: CompanyFile
    environment: Environment
    sign_in: desktop.SignIn
    address: str
    connector: WebConnector

    def visit(self) -> Any:
        """One update of the Web Connector, while our worker works."""
        return self.connector.run_once()

    def settle(self, visits: int = 3) -> None:
        """Visits until nothing is left; time goes by between them."""
        for _ in range(visits):
            self.environment.clock.sleep(900)
            self.work()
            self.visit()
        self.work()

    def work(self) -> Worker:
        worker = make_worker(self.environment)
        while worker.work():
            pass
        return worker

    def pass_time(self, **step: float) -> None:
        end = self.clock.now() + timedelta(**step)
        while self.clock.now() < end:
            self.clock.set(min(end, self.clock.now() + timedelta(hours=6)))
            self.stripe.tick()

    def customer(self, name: str = "Blue Foods", currency: str = "US Dollar") -> tuple[str, dict[str, Any]]:
        email = f"ap@{name.partition(' ')[0].lower()}.example"
        there = self.stripe.request("POST", "/v1/customers", {"name": name, "email": email})
        body = {"Name": name, "Email": email, "CurrencyRef": {"FullName": currency}}
        return there["id"], self.file.add("Customer", body)

    def invoice(self, payer: dict[str, Any], cents: int, number: str) -> dict[str, Any]:
        line = {"ItemRef": {"FullName": "Services"}, "Amount": f"{Decimal(cents) / 100:.2f}"}
        head = {"CustomerRef": {"ListID": payer["ListID"]}, "RefNumber": number}
        return self.file.add("Invoice", head | {"InvoiceLineAdd": [line]})

    def pay(self, stripe_customer: str, cents: int, description: str, **more: Any) -> dict[str, Any]:
        params = {"amount": cents, "currency": "usd", "customer": stripe_customer, "payment_method": "pm_card_visa"}
        params |= {"confirm": True, "description": description}
        return self.stripe.request("POST", "/v1/payment_intents", params | more)

    def balance(self, account: str, as_of: date | None = None) -> int:
        """Hundredths of the account's own currency, debits above zero."""
        return self.file.company.books.balance(self.file.named("Account", account)["ListID"], as_of)[0]  # type: ignore[index]

    def now(self, kind: str, document: dict[str, Any]) -> dict[str, Any]:
        """A document as it is now."""
        found = self.file.get(kind, document["TxnID"])
        assert found is not None
        return found

    def define_field(self, name: str, assigned: str) -> None:
        """A user's custom field."""
        definition = {"OwnerID": "0", "DataExtName": name, "DataExtType": "STR255TYPE", "AssignToObject": [assigned]}
        extensions.define(self.file.company, definition)

    def write_field(self, name: str, customer_id: str, value: str) -> None:
        target = {"ListDataExtType": "Customer", "ListObjRef": {"ListID": customer_id}}
        body = {"OwnerID": "0", "DataExtName": name, **target, "DataExtValue": value}
        extensions.write(self.file.company, body, is_new=True)

    def ours(self, kind: str) -> list[dict[str, Any]]:
        return [body for body in self.file.all(kind) if "[tieout " in body.get("Memo", "")]

    def markers(self) -> list[str]:
        return [MARKER.search(body["Memo"]).group(1) for kind in KINDS for body in self.ours(kind)]  # type: ignore[union-attr]

    def person(self, role: str = "accountant") -> users.User:
        with self.environment.database.write() as conn:
            user_id = users.ensure_user(conn, email=f"{role}@example.com", name=role, role=role)
        return users.User(id=user_id, email=f"{role}@example.com", name=role, role=role)

    def map_accounts(self) -> None:
        """As the accountant would: by the names of the company's own accounts."""
        (link,) = self._links()
        named = lambda kind, name: self.file.named(kind, name)["ListID"]  # type: ignore[index]  # noqa: E731
        fees = named("Account", "Stripe Fees")
        mappings = Mappings(
            clearing={"USD": named("Account", "Stripe Clearing")},
            bank={"USD": named("Account", "Checking")},
            fees={"stripe_fee": fees, "payment_method_passthrough_fee": fees, "tax": fees},
            fee_vendor=named("Vendor", "Stripe"),
            sales_item=named("ItemService", "Services"),
            refund_item=named("ItemService", "Services"),
            opening_account=named("Account", "Opening Balance Equity"),
            accounts={role: named("Account", name) for role, name in ROLES.items()},
        )
        with self.environment.database.write() as conn:
            connections.change_link(conn, link.id, mappings=to_json(mappings))

    def switch_posting(self, on: bool) -> None:
        (link,) = self._links()
        with self.environment.database.write() as conn:
            connections.change_link(conn, link.id, posting_on=on)

    def _links(self) -> list[connections.Link]:
        with self.environment.database.read() as conn:
            return connections.all_links(conn)


def join(
    environment: Environment, stripe: StripeEmulator, address: str, start: datetime, *, posting_on: bool
) -> desktop.SignIn:
    """Connects a company file and the Stripe account at `address`, and joins the two from the day before `start` on."""
    processor_id, zone = connecting.connect_stripe(environment, stripe.key, "emulated", {"api": address})
    sign_in = desktop.connect_desktop(environment, "Larkspur", "emulated")
    connecting.make_link(
        environment,
        processor_id=processor_id,
        ledger_id=sign_in.connection_id,
        cutover=start.date() - timedelta(days=1),
        time_zone=zone,
        policies=Policies(),
        posting_on=posting_on,
        actor="test",
        create_missing=False,
    )
    return sign_in


@contextmanager
def open_desktop(
    database: Database, data_dir: Path, faults: Faults | None = None, *, is_mapped: bool = True
) -> Iterator[Desktop]:
    """A company file with the accounts that postings need, joined to a Stripe account; or without most of them, and
    with nothing chosen.
    """
    clock = Clock(START)
    stripe = StripeEmulator(Store(), clock, Rng(1))
    file = new_file(clock)
    if is_mapped:
        for name, kind in (
            ("Disputes receivable", "OtherCurrentAsset"),
            ("Dispute losses", "Expense"),
            ("Dispute fees", "Expense"),
        ):
            file.add("Account", {"Name": name, "AccountType": kind})
        file.add("Vendor", {"Name": "Stripe"})
    environment = Environment(
        data_dir=data_dir,
        demo=True,
        database=database,
        vault=open_vault(data_dir),
        clock=HurriedClock(),
        rng=SystemRng(),
    )
    with ExitStack() as stack:
        stripe_address = stack.enter_context(serve(stripe.app))
        ours = stack.enter_context(serve(hooks_app(environment)))
        sign_in = join(environment, stripe, stripe_address, START, posting_on=True)
        company = Desktop(clock, stripe, file, environment, sign_in, ours, None)  # type: ignore[arg-type]

        def sleep(seconds: float) -> None:
            environment.clock.sleep(seconds)
            company.work()

        text = desktop.qwc_file(environment, sign_in.connection_id, ours).decode()
        company.connector = WebConnector(text, file, password=sign_in.password, faults=faults, sleep=sleep)
        if is_mapped:
            company.map_accounts()
        yield company
