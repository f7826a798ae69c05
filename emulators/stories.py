"""How single charges come about: each story writes its documents in both systems, each at its own time.

A story is named after its category in the truth. `when` is the time of its charge; what comes before it (the invoice)
and after it (a refund) is planned on the agenda.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from emulators.agenda import Agenda
from emulators.bookkeeper import CLEARING, Books
from emulators.cashier import Cashier
from emulators.clock import Rng
from emulators.people import Person
from emulators.truth import ChargeTruth, HandRecorded, Paid, Truth

PLANS = (2_900, 4_900, 9_900, 19_900, 49_000)
WORK = ("Consulting", "Design work", "Annual plan", "Workshop", "Support retainer", "Website maintenance")
HAND_ACCOUNTS = ("Undeposited Funds", "Checking", CLEARING)
REFERENCES = ("Invoice {}", "{}", "Payment for {}", "inv {digits} thx", "invoice #{digits}", "Inv. no. {digits}")
BANK_DEBIT = "pm_usBankAccount_success"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass(frozen=True)
class Invoice:
    """One invoice in QuickBooks and, where there is one, its twin at Stripe."""

    body: dict[str, Any]
    amount: int
    stripe_id: str = ""

    @property
    def number(self) -> str:
        return str(self.body["DocNumber"])

    def paid(self, amount: int | None = None) -> Paid:
        return Paid(self.body["Id"], self.number, self.amount if amount is None else amount)


@dataclass
class Period:
    """Nothing happens before `start` or after `until`."""

    start: datetime
    until: datetime

    def clamp(self, when: datetime) -> datetime:
        return max(self.start, min(when, self.until - timedelta(minutes=2)))


class Stories:
    def __init__(
        self, cashier: Cashier, books: Books, agenda: Agenda, rng: Rng, people: list[Person], truth: Truth,
        period: Period,
    ) -> None:  # fmt: skip
        self.cashier, self.books, self.agenda, self.rng = cashier, books, agenda, rng
        self.people, self.truth, self.period = people, truth, period
        self.numbers: list[tuple[str, Person]] = []  # invoices there are, for wrong references
        self.half_paid: list[tuple[Person, Invoice, int]] = []
        self.hand_accounts = 0
        self._amounts: set[int] = set(PLANS)
        self._store = books.store

    # --- what stories are made of ---

    def payer(self, currency: str = "USD") -> Person:
        return self.rng.pick([each for each in self.people if each.currency == currency and not each.by_check])

    def unique_amount(self, low: int = 6_000, high: int = 180_000) -> int:
        """No other document of the world has it, but those of its story."""
        while (amount := self.rng.between(low, high)) in self._amounts:
            pass
        self._amounts.add(amount)
        return amount

    def price(self, person: Person) -> int:
        if person.currency == "JPY":
            return self.rng.between(40, 900) * 100
        return self.rng.pick(PLANS) if self.rng.chance(0.55) else self.unique_amount()

    def today(self) -> date:
        return self.books.today()

    def bill(self, person: Person, amount: int, *, stripe: bool = False) -> Invoice:
        """An invoice of today."""
        number = f"INV-{1000 + self._store.number('world_invoice')}"
        twin = bool(person.qbo_twin_id) and self.rng.chance(0.5)
        body = self.books.invoice(person, number, amount, self.today(), twin=twin)
        self.numbers.append((number, person))
        if not stripe:
            return Invoice(body, amount)
        return Invoice(body, amount, self.cashier.invoice(person, number, amount, body["Id"], self.rng.pick(WORK)))

    def before(self, when: datetime, days_max: int = 16) -> datetime:
        """Some time before, as invoices are written some days before they are paid."""
        return self.period.clamp(when - self.rng.between(0, days_max) * DAY - HOUR)

    def plan(
        self, person: Person, amount: int, when: datetime, then: Callable[[Invoice], None], *, stripe: bool = False
    ) -> None:
        """Writes an invoice some days before `when`, and does `then` with it at that time."""

        def write() -> None:
            invoice = self.bill(person, amount, stripe=stripe)
            self.agenda.at(when, lambda: then(invoice))

        self.agenda.at(self.before(when), write)

    def record(self, charge_id: str, category: str, person: Person, amount: int, *pays: Paid) -> ChargeTruth:
        charge = ChargeTruth(charge_id, category, person.currency, amount, list(pays))
        self.truth.charges.append(charge)
        return charge

    def naming(self, number: str) -> dict[str, Any]:
        """The number of an invoice, where people write it."""
        if self.rng.chance(0.3):
            return {"metadata": {"invoice_number": number}}
        return {"description": self.rng.pick(REFERENCES).format(number, digits=number.removeprefix("INV-"))}

    # --- charges that can be matched without a person ---

    def linked(self, when: datetime, category: str = "linked", currency: str = "USD") -> None:
        person = self.payer(currency)
        debit = currency == "USD" and self.rng.chance(0.05) and when + 8 * DAY < self.period.until
        fails = self.rng.chance(0.04)

        def pay(invoice: Invoice) -> None:
            if fails:
                failed = self.cashier.fail_invoice(invoice.stripe_id)
                self.record(failed, "failed", person, invoice.amount)
            charge_id = self.cashier.pay_invoice(invoice.stripe_id, BANK_DEBIT if debit else person.card)
            charge = self.record(charge_id, category, person, invoice.amount, invoice.paid())
            self.maybe_refund(charge, debit=debit)

        self.plan(person, self.price(person), when, pay, stripe=True)

    def reference(self, when: datetime) -> None:
        person = self.payer()

        def pay(invoice: Invoice) -> None:
            intent = self.cashier.intent(person, invoice.amount, **self.naming(invoice.number))
            charge_id = self.cashier.charge_of(intent)
            charge = self.record(charge_id, "reference", person, invoice.amount, invoice.paid())
            self.maybe_refund(charge)

        self.plan(person, self.price(person), when, pay)

    def several(self, when: datetime) -> None:
        person, first, second = self.payer(), self.unique_amount(), self.unique_amount()

        def write() -> None:
            invoices = [self.bill(person, amount, stripe=True) for amount in (first, second)]
            self.agenda.at(when, lambda: pay(invoices))

        def pay(invoices: list[Invoice]) -> None:
            ids = [invoice.stripe_id for invoice in invoices]
            charge_id = self.cashier.pay_invoices(person, ids, first + second)
            self.record(charge_id, "several", person, first + second, *(invoice.paid() for invoice in invoices))

        self.agenda.at(self.before(when), write)

    def partial(self, when: datetime) -> None:
        """Two of them pay one invoice, the first a part and the second the rest."""
        self.agenda.at(when, lambda: self._pay_rest() if self.half_paid else self._pay_half())

    def _pay_half(self) -> None:
        person, amount = self.payer(), self.unique_amount(40_000, 300_000)
        invoice, part = self.bill(person, amount, stripe=True), amount // 100 * self.rng.between(30, 70)
        charge_id = self.cashier.pay_invoices(person, [invoice.stripe_id], part)
        self.record(charge_id, "partial", person, part, invoice.paid(part))
        self.half_paid.append((person, invoice, amount - part))

    def _pay_rest(self) -> None:
        person, invoice, rest = self.half_paid.pop(0)
        charge_id = self.cashier.pay_invoices(person, [invoice.stripe_id], rest)
        self.record(charge_id, "partial", person, rest, invoice.paid(rest))

    def overpaid(self, when: datetime) -> None:
        person = self.payer()

        def pay(invoice: Invoice) -> None:
            amount = invoice.amount + self.rng.between(500, 5_000)
            link = {"qbo_invoice_id": invoice.body["Id"]}
            intent = self.cashier.intent(person, amount, metadata=link, description="Payment, thank you")
            self.record(self.cashier.charge_of(intent), "overpaid", person, amount, invoice.paid())

        self.plan(person, self.unique_amount(), when, pay)

    def partial_capture(self, when: datetime) -> None:
        """More is authorized than is taken in the end."""
        person = self.payer()

        def authorize(invoice: Invoice) -> None:
            authorized = invoice.amount + self.rng.between(10, 60) * 100
            words = {"description": f"Order for invoice {invoice.number}"}
            intent = self.cashier.intent(person, authorized, capture_method="manual", **words)
            self.agenda.at(self.period.clamp(when + 3 * HOUR), lambda: capture(intent, invoice))

        def capture(intent: str, invoice: Invoice) -> None:
            self.cashier.capture(intent, invoice.amount)
            charge_id = self.cashier.charge_of(intent)
            self.record(charge_id, "partial_capture", person, invoice.amount, invoice.paid())

        self.plan(person, self.unique_amount(), self.period.clamp(when), authorize)

    # --- charges that somebody typed in ---

    def recorded_by_id(self, when: datetime) -> None:
        self._typed_in(when, "recorded_by_id", names_it=True)

    def hand_recorded(self, when: datetime) -> None:
        self._typed_in(when, "hand_recorded", names_it=False)

    def _typed_in(self, when: datetime, category: str, *, names_it: bool) -> None:
        person = self.payer()
        account = HAND_ACCOUNTS[self.hand_accounts % len(HAND_ACCOUNTS)]
        self.hand_accounts += 1

        def pay(invoice: Invoice) -> None:
            words = self.naming(invoice.number) if self.rng.chance(0.5) else {}
            intent = self.cashier.intent(person, invoice.amount, **words)
            charge_id = self.cashier.charge_of(intent)
            self.record(charge_id, category, person, invoice.amount, invoice.paid())
            later = self.period.clamp(when + self.rng.between(2, 30) * HOUR)
            self.agenda.at(later, lambda: self.type_in(invoice, charge_id, account, names_it=names_it))

        self.plan(person, self.unique_amount(), when, pay)

    def type_in(self, invoice: Invoice, charge_id: str, account: str, *, names_it: bool) -> None:
        note = f"Stripe {charge_id}" if names_it else self.rng.pick(("", "card", "paid online"))
        payment = self.books.payment(invoice.body, account, self.today(), note)
        self.truth.hand_recorded.append(HandRecorded("Payment", payment["Id"], charge_id, names_it))

    def before_cutover(self, when: datetime) -> None:
        """In those days the bookkeeper still recorded every charge."""
        person = self.payer()

        def pay(invoice: Invoice) -> None:
            charge_id = self.cashier.pay_invoice(invoice.stripe_id, person.card)
            self.record(charge_id, "before_cutover", person, invoice.amount, invoice.paid())
            self.type_in(invoice, charge_id, CLEARING, names_it=False)

        self.plan(person, self.unique_amount(), when, pay, stripe=True)

    # --- charges that leave a question ---

    def foreign_eur(self, when: datetime) -> None:
        self.linked(when, "foreign_eur", "EUR")

    def foreign_jpy(self, when: datetime) -> None:
        self.linked(when, "foreign_jpy", "JPY")

    def retainer(self, when: datetime) -> None:
        """Paid before there is an invoice."""
        person, amount = self.payer(), self.unique_amount() // 10_000 * 10_000 + 10_000

        def pay() -> None:
            intent = self.cashier.intent(person, amount, description=f"Retainer {self.rng.pick(WORK).lower()}")
            charge = self.record(self.cashier.charge_of(intent), "retainer", person, amount)
            self.agenda.at(when + self.rng.between(4, 12) * DAY, lambda: charge.pays.append(write()))

        def write() -> Paid:
            return self.bill(person, amount).paid()

        self.agenda.at(when, pay)

    def wrong_reference(self, when: datetime) -> None:
        person = self.payer()

        def pay(invoice: Invoice) -> None:
            others = [number for number, owner in self.numbers if owner.name != person.name]
            number = self.rng.pick(others) if others and self.rng.chance(0.8) else "INV-9041"
            intent = self.cashier.intent(person, invoice.amount, **self.naming(number))
            charge_id = self.cashier.charge_of(intent)
            self.record(charge_id, "wrong_reference", person, invoice.amount, invoice.paid())

        self.plan(person, self.unique_amount(), when, pay)

    def no_reference(self, when: datetime) -> None:
        person = self.payer()

        def pay(invoice: Invoice) -> None:
            words = {"description": self.rng.pick(WORK)} if self.rng.chance(0.4) else {}
            charge_id = self.cashier.charge_of(self.cashier.intent(person, invoice.amount, **words))
            self.record(charge_id, "no_reference", person, invoice.amount, invoice.paid())

        self.plan(person, self.price(person), when, pay)

    def equal_invoices(self, when: datetime) -> None:
        """Two open invoices of one customer come to the same; the charge names neither."""
        person, amount = self.payer(), self.unique_amount()
        self.agenda.at(self.period.clamp(when - 20 * DAY), lambda: self.unpaid(person, amount))

        def pay(invoice: Invoice) -> None:
            charge_id = self.cashier.charge_of(self.cashier.intent(person, amount))
            self.record(charge_id, "equal_invoices", person, amount, invoice.paid())

        self.plan(person, amount, when, pay)

    def unpaid(self, person: Person, amount: int) -> None:
        invoice = self.bill(person, amount, stripe=self.rng.chance(0.5))
        self.truth.unpaid_invoices.append(invoice.body["Id"])

    # --- what happens to charges later ---

    def maybe_refund(self, charge: ChargeTruth, *, debit: bool = False) -> None:
        now = self.cashier.stripe.office.clock.now()
        if charge.currency == "USD" and not debit and now + 8 * DAY < self.period.until and self.rng.chance(0.06):
            amount = charge.amount_minor if self.rng.chance(0.5) else charge.amount_minor // self.rng.between(2, 5)
            self.agenda.at(now + 7 * DAY, lambda: self.refund(charge, amount))

    def refund(self, charge: ChargeTruth, amount: int) -> None:
        if not charge.disputes and not charge.refunds:
            charge.refunds.append(self.cashier.refund(charge.id, amount))

    def dispute(self, charge: ChargeTruth, outcome: str) -> None:
        """The cardholder complains; `outcome` is decided a week later, unless it stays open."""
        opened = self.cashier.control("disputes", charge=charge.id, reason=self.rng.pick(("fraudulent", "duplicate")))
        charge.disputes[opened["id"]] = "needs_response"
        now = self.cashier.stripe.office.clock.now()
        if outcome != "needs_response":
            self.agenda.at(now + 7 * DAY, lambda: self._decide(charge, opened["id"], outcome))

    def _decide(self, charge: ChargeTruth, dispute: str, outcome: str) -> None:
        self.cashier.control("dispute_wins" if outcome == "won" else "dispute_losses", dispute=dispute)
        charge.disputes[dispute] = outcome
