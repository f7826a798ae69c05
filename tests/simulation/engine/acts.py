"""What people and customers do in a seed, at Stripe, in the books and at our own pages."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from emulators.clock import Rng
from reconcile.names import MARKER
from reconcile.records import Charge
from storage import connections, undoing
from storage.models import legs, links
from sync import commands
from sync.commands import RefusedError
from sync.undoing import undo_posted
from tests.simulation.engine.books import Body
from tests.simulation.engine.world import CLEARING, World

SERVICE = {"DetailType": "SalesItemLineDetail", "SalesItemLineDetail": {"ItemRef": {"value": "1"}}}
OURS = ("Payment", "Purchase", "RefundReceipt", "Transfer", "JournalEntry")


@dataclass
class Acts:
    """Does them by name; remembers what the laws need to know of it."""

    world: World
    chance: Rng
    paid: dict[str, str] = field(default_factory=dict)  # charge -> invoice that it names
    typed: set[str] = field(default_factory=set)  # charges that somebody recorded by hand
    touched: dict[str, tuple[str, str, str | None]] = field(default_factory=dict)  # marker -> entity, id, memo or None
    ignored: set[str] = field(default_factory=set)
    undone: set[str] = field(default_factory=set)  # charges
    _amount: int = 1_000
    _number: int = 0

    def do(self, name: str) -> None:
        stripe = self.world.stripe
        match name:
            case "pays" | "pays later" | "pays twice the same":
                self._pay(settles_s=2_400 if name == "pays later" else 0)
                if name == "pays twice the same":
                    self._pay(amount=self._amount)
            case "pays unknown":
                stripe.charge(self._customer(), self._next_amount(), "Order from the shop")
            case "refund" | "refund part" | "refund fails":
                self._refund(name)
            case "dispute":
                self._dispute()
            case "dispute won" | "dispute lost":
                open_ones = [each for each in stripe.all("dispute") if each.status == "needs_response"]
                if open_ones:
                    stripe.close_dispute(open_ones[0].id, won=name == "dispute won")
            case "payout" | "payout fails":
                stripe.pay_out(fails=name == "payout fails")
            case "bill":
                stripe.bill(self.chance.between(100, 900))
            case _:
                self._by_people(name)

    def _by_people(self, name: str) -> None:
        match name:
            case "types in":
                self._type_in()
            case "edits":
                self._edit()
            case "deletes":
                self._delete()
            case "edits invoice":
                self._edit_invoice()
            case "switches off":
                self._switch(on=False)
            case "switches on":
                self._switch(on=True)
            case "ignores":
                self._ignore()
            case "undoes":
                self._undo()

    # ---- customers

    def _customer(self) -> Any:
        return self.world.stripe.all("customer")[0]

    def _next_amount(self) -> int:
        """Another one each time: who paid what is never in doubt."""
        self._amount += 100 + self.chance.between(1, 99)
        return self._amount

    def _pay(self, *, settles_s: int = 0, amount: int | None = None) -> Charge:
        """An invoice, and the charge that names it."""
        self._number += 1
        amount = amount or self._next_amount()
        books = self.world.books
        owner = next(iter(books.objects["Customer"]))
        line = SERVICE | {"Amount": f"{amount / 100:.2f}"}
        head = {"CustomerRef": {"value": owner}, "DocNumber": f"INV-{self._number}"}
        invoice = books.add("Invoice", Line=[line], **head)
        charge = self.world.stripe.charge(self._customer(), amount, f"Invoice INV-{self._number}", settles_s=settles_s)
        self.paid[charge.id] = invoice["Id"]
        return charge

    def _refundable(self) -> Charge | None:
        disputed = {each.charge_id for each in self.world.stripe.all("dispute")}
        good = [
            each
            for each in self.world.stripe.all("charge")
            if each.movement_id and each.refunded_minor < each.amount_minor and each.id not in disputed
        ]
        return self.chance.pick(good) if good else None

    def _refund(self, name: str) -> None:
        charge = self._refundable()
        if charge is None:
            return
        left = charge.amount_minor - charge.refunded_minor
        refund = self.world.stripe.refund(charge.id, left if name != "refund part" else left // 3)
        if name == "refund fails":
            self.world.stripe.fail_refund(refund.id)

    def _dispute(self) -> None:
        charge = self._refundable()
        if charge is not None and not charge.refunded_minor:
            self.world.stripe.dispute(charge.id)

    # ---- bookkeepers

    def _type_in(self) -> None:
        """Somebody records a charge's money, unless the invoice shows as paid."""
        books = self.world.books
        for charge_id, invoice_id in self.paid.items():
            invoice = books.objects["Invoice"].get(invoice_id)
            if invoice is None or not invoice["Balance"] or charge_id in self.typed:
                continue
            line = {"Amount": invoice["Balance"], "LinkedTxn": [{"TxnId": invoice_id, "TxnType": "Invoice"}]}
            head = {"CustomerRef": invoice["CustomerRef"], "TotalAmt": invoice["Balance"]}
            into = {"DepositToAccountRef": {"value": CLEARING}}
            books.add("Payment", PrivateNote=f"by card, {charge_id}", Line=[line], **head, **into)
            self.typed.add(charge_id)
            return

    def _ours(self) -> tuple[str, str, Body] | None:
        """A document of ours that nobody has touched, as (marker, entity, document)."""
        found = [
            (marker, entity, body)
            for marker, documents in sorted(self.world.books.marked().items())
            for entity, body in documents
            if marker not in self.touched
        ]
        return self.chance.pick(found) if found else None

    def _edit(self) -> None:
        ours = self._ours()
        if ours is None:
            return
        marker, entity, body = ours
        memo = f"{body['PrivateNote']} seen by M."
        day = "2026-11-12" if self.chance.chance(0.5) else body["TxnDate"]
        self.world.books.change(entity, body["Id"], PrivateNote=memo, TxnDate=day)
        self.touched[marker] = (entity, body["Id"], day)

    def _delete(self) -> None:
        ours = self._ours()
        if ours is not None:
            marker, entity, body = ours
            self.world.books.remove(entity, body["Id"])
            self.touched[marker] = (entity, body["Id"], None)

    def _edit_invoice(self) -> None:
        """A word in its memo: what we hold of it is out of date now."""
        invoices = list(self.world.books.objects["Invoice"])
        if invoices:
            self.world.books.change("Invoice", self.chance.pick(invoices), PrivateNote="called them")

    # ---- our pages

    def _switch(self, *, on: bool) -> None:
        database, clock = self.world.database, self.world.clock
        if on:
            commands.open_dry_run(database, clock, self.world.person(), 1)
        commands.switch_posting(database, clock, self.world.person(), 1, on)

    def _ignore(self) -> None:
        """An accountant ignores what waits, with a reason."""
        with self.world.database.read() as conn:
            query = select(legs.c.source_id, legs.c.version).where(legs.c.state == "waiting", legs.c.kind == "gross")
            row = conn.execute(query.order_by(legs.c.id)).first()
        if row is not None:
            try:
                commands.ignore(
                    self.world.database,
                    self.world.clock,
                    self.world.person(),
                    1,
                    row.source_id,
                    "Not ours.",
                    row.version,
                )
            except RefusedError:
                return
            self.ignored.add(row.source_id)

    def _undo(self) -> None:
        """An accountant takes back what we posted of a charge."""
        payments = [
            (entity, body)
            for _, documents in sorted(self.world.books.marked().items())
            for entity, body in documents
            if entity == "Payment" and MARKER.search(body["PrivateNote"])[1] not in self.touched  # type: ignore[index]
        ]
        if not payments:
            return
        _, body = self.chance.pick(payments)
        document_id = f"payment:{body['Id']}"
        with self.world.database.read() as conn:
            link = connections.link(conn, 1)
            found = undoing.preview(conn, link, document_id, with_fee=False, is_reconciled=False)
        if found is None or found.obstacles:
            return
        database, clock = self.world.database, self.world.clock
        try:
            undo_posted(
                database, clock, self.world.person(), 1, document_id, found.version, "Wrong.", is_reconciled=False
            )
        except RefusedError:
            return
        self.undone.add(found.source_id)

    @property
    def is_posting(self) -> bool:
        with self.world.database.read() as conn:
            return bool(conn.execute(select(links.c.posting_on)).scalar_one())
