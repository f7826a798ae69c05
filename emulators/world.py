"""A believable company: from a seed, months of business in Stripe and QuickBooks, and the mess that real books have.

The same seed, months, number of charges and end give the same world, ids included.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from emulators.agenda import Agenda
from emulators.bookkeeper import CLEARING, Bookkeeper, Books
from emulators.cashier import Cashier
from emulators.clock import Clock, Rng
from emulators.crediting import plan_notes
from emulators.people import Person, invent
from emulators.qbo import QboEmulator
from emulators.server import serve
from emulators.store import Store
from emulators.stories import DAY, HOUR, Period, Stories
from emulators.stripe.emulator import StripeEmulator
from emulators.stripe.settings import Account
from emulators.truth import ChargeTruth, HandRecorded, Truth

COMPANY, ZONE = "Larkspur Studio LLC", "America/New_York"
REALM_ID, CLIENT_ID = "9341450000000007", "tieout-demo"
CHARGES_A_MONTH, DAYS_BEFORE = 100, 10
FEE_TAX_BPS = 625  # some way into the world, Stripe starts to charge tax on its fees
BEFORE_SHARE = 0.05

# Of a hundred charges since the cut-over.
MIX = {
    "linked": 56, "reference": 22, "several": 1.5, "partial": 3, "overpaid": 1.5, "partial_capture": 1,
    "recorded_by_id": 1,
    "foreign_eur": 2, "foreign_jpy": 1.5, "retainer": 1.5, "hand_recorded": 3.5, "wrong_reference": 1.5,
    "no_reference": 3, "equal_invoices": 1,
}  # fmt: skip
OUTCOMES = ("won", "lost", "needs_response")


def cutover_of(until: datetime, months: int) -> date:
    """The first of the month, so that there are at least `months` months since."""
    today = until.astimezone(ZoneInfo(ZONE)).date()
    years, month = divmod(today.year * 12 + today.month - 1 - months, 12)
    return date(years, month + 1, 1)


def start_of(until: datetime, months: int) -> datetime:
    """When the world begins: some days before the cut-over."""
    return midnight(cutover_of(until, months)) - DAYS_BEFORE * DAY + 9 * HOUR


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(ZONE)).astimezone(UTC)


def build(  # noqa: PLR0913 - one argument a choice
    stripe: StripeEmulator, books: Books, clock: Clock, rng: Rng, *, months: int, charges: int | None = None,
    until: datetime, seed: int = 0, notes: int = 0,
) -> Truth:  # fmt: skip
    """Writes the world, with so many invoices that credit notes lower; the clock is left standing at `until`."""
    builder = _Builder(stripe, books, clock, rng, Truth(seed, months), months, until)
    with stripe.office.store.transaction(), books.store.transaction():
        builder.plan(charges)
        plan_notes(builder.stories, notes, builder.cutover, builder.until)
        builder.run()
    return builder.truth


class _Builder:
    def __init__(
        self, stripe: StripeEmulator, books: Books, clock: Clock, rng: Rng, truth: Truth, months: int,
        until: datetime,
    ) -> None:  # fmt: skip
        self.stripe, self.books, self.clock, self.rng, self.truth = stripe, books, clock, rng, truth
        self.until = until.astimezone(UTC).replace(microsecond=0)
        self.cutover_day = cutover_of(self.until, months)
        self.cutover, self.start = midnight(self.cutover_day), start_of(self.until, months)
        truth.cutover, truth.until = self.cutover_day.isoformat(), self.until.isoformat()
        self.cashier, self.agenda = Cashier(stripe), Agenda()
        self.people = invent(rng)
        period = Period(self.start + 5 * HOUR, self.until)
        self.stories = Stories(self.cashier, self.books, self.agenda, rng, self.people, truth, period)
        self.payouts_seen: set[str] = set()
        self.outcomes: list[str] = []

    # --- what is to happen ---

    def plan(self, charges: int | None) -> None:
        days = (self.until - self.cutover) / DAY
        total = charges or round(CHARGES_A_MONTH * (days + DAYS_BEFORE) / 30.4)
        early = min(max(4, round(total * BEFORE_SHARE)), total // 3)
        self.agenda.at(self.start, self._found)
        for when in self._times(early, self.start + 2 * DAY, self.cutover - 6 * HOUR):
            self.stories.before_cutover(when)
        self._plan_charges(total - early)
        self._plan_disputes(total)
        self._plan_unpaid()
        self._plan_days()

    def _plan_charges(self, number: int) -> None:
        tellers = {name: getattr(self.stories, name) for name in MIX}
        categories = [name for name, count in counts_of(MIX, number).items() for _ in range(count)]
        self.rng.shuffle(categories)
        for when, name in zip(self._times(number, self.cutover, self.until), categories, strict=True):
            tellers[name](when)

    def _times(self, number: int, first: datetime, last: datetime) -> list[datetime]:
        """Moments in a period, more of them in business hours and on weekdays."""
        moments: list[datetime] = []
        span_s = int((last - first).total_seconds()) - 600
        while len(moments) < number:
            when = first + timedelta(seconds=self.rng.between(300, span_s))
            local = when.astimezone(ZoneInfo(ZONE))
            likely = (0.9 if 8 <= local.hour < 23 else 0.1) * (1 if local.weekday() < 5 else 0.4)
            if self.rng.chance(likely):
                moments.append(when)
        return sorted(moments)

    def _plan_disputes(self, total: int) -> None:
        """Disputes of each outcome; those decided begin early enough, the open ones are recent."""
        for number in range(max(3, round(total / 70))):
            outcome = OUTCOMES[number % 3]
            days = 4 if outcome == "needs_response" else self.rng.between(9, 14)
            self.agenda.at(self.until - days * DAY - number * HOUR, lambda outcome=outcome: self._dispute(outcome))  # type: ignore[misc]

    def _dispute(self, outcome: str) -> None:
        candidates = [
            charge
            for charge in self.truth.of("linked", "reference")
            if not charge.refunds and not charge.disputes and charge.id.startswith("ch_")
        ]
        if candidates:
            self.stories.dispute(self.rng.pick(candidates[len(candidates) // 4 :]), outcome)

    def _plan_unpaid(self) -> None:
        """Invoices that nobody has paid yet."""
        for when in self._times(9, max(self.cutover, self.until - 25 * DAY), self.until):
            person = self.stories.payer()
            amount = self.stories.price(person)
            self.agenda.at(when, lambda person=person, amount=amount: self.stories.unpaid(person, amount))  # type: ignore[misc]

    def _plan_days(self) -> None:
        """What goes on by itself, day by day, at eleven in the morning."""
        day = self.start.astimezone(ZoneInfo(ZONE)).date()
        while (morning := midnight(day) + 11 * HOUR) < self.until:
            if morning > self.start:
                self.agenda.at(morning, lambda day=day: self._morning(day))  # type: ignore[misc]
            day += DAY
        span = self.until - self.cutover
        self.agenda.at(self.cutover + span * 0.3, lambda: self.cashier.reserve(50_000))
        self.agenda.at(self.cutover + span * 0.6, lambda: self.cashier.reserve(-50_000))
        self.agenda.at(self.cutover + span * 0.66, self._tax_fees)
        self.agenda.at(self.cutover + span * 0.2, self._refund_old)

    # --- it happens ---

    def run(self) -> None:
        self.agenda.run(self.until, self._arrive)
        self._arrive(self.until)
        self._complete_truth()
        rows = [person.row() for person in self.people]
        self.books.store.put("world", "people", {"rows": rows}, created=0)

    def _arrive(self, when: datetime) -> None:
        self.clock.set(when)
        self.stripe.tick()
        self.books.tick()

    def _found(self) -> None:
        day = self.start.date()
        self.books.open_books(day)
        for number, person in enumerate(self.people):
            person.qbo_id = self.books.customer(person)
            if number in (5, 11) and person.currency == "USD":
                person.qbo_twin_id = self.books.twin(person)
            if not person.by_check:
                person.stripe_id = self.cashier.customer(person)

    def _morning(self, day: date) -> None:
        if day.day == 1:
            self.books.spend("Corner Property Management", "Rent", 240_000, day)
            self._drift_rates(day)
        if day.day == 3:
            self.cashier.bill(self.rng.between(1_000, 9_000), f"Billing - Usage Fee ({day:%Y-%m})")
            self.books.spend("Cloudhouse Hosting", "Software", self.rng.between(9_000, 30_000), day, kind="CreditCard")
        if day.weekday() == 2:
            self.books.spend("Sparkle Cleaning", "Cleaning", 8_500, day)
        if day.weekday() == 4:
            self._bank_checks(day)
        self._watch_payouts(day)

    def _drift_rates(self, day: date) -> None:
        """Exchange rates move; the books take them over once a month, Stripe at once."""
        rates = self.stripe.office.rates.usd_ppm
        rates["eur"] += self.rng.between(-15_000, 15_000)
        self.books.rate("EUR", round(rates["eur"] / 1_000_000, 4), day)

    def _bank_checks(self, day: date) -> None:
        """Some customers pay by check; the week's checks are brought to the bank."""
        payers = [person for person in self.people if person.by_check and self.rng.chance(0.4)]
        payments = []
        for person in payers:
            invoice = self.stories.bill(person, self.stories.unique_amount())
            reference = str(self.rng.between(1_000, 9_999))
            payments.append(self.books.payment(invoice.body, "Undeposited Funds", day, reference=reference))
        if payments:
            self.books.deposit(payments, day)

    def _watch_payouts(self, day: date) -> None:
        """Before the cut-over every payout that arrived was recorded by hand; after it two of them still are."""
        for payout in self.cashier.get("payouts", limit=100)["data"]:
            arrived = datetime.fromtimestamp(payout["arrival_date"], UTC).date()
            if payout["id"] in self.payouts_seen or payout["currency"] != "usd" or arrived > day:
                continue
            self.payouts_seen.add(payout["id"])
            since = sum(each > self.cutover for each in self._creations()) if arrived >= self.cutover_day else 0
            if arrived < self.cutover_day or since in (6, 9):
                names_it = since == 9
                note = f"Stripe payout {payout['id']}" if names_it else "Stripe payout"
                made = self.books.transfer(CLEARING, "Checking", payout["amount"], arrived, note)
                self.truth.hand_recorded.append(HandRecorded("Transfer", made["Id"], payout["id"], names_it))

    def _refund_old(self) -> None:
        """A refund since the cut-over, of a charge from before it."""
        for charge in self.truth.of("before_cutover")[-1:]:
            self.stories.refund(charge, charge.amount_minor // 3)

    def _creations(self) -> list[datetime]:
        bodies = [self.stripe.office.get("payout", payout_id) for payout_id in self.payouts_seen]
        return [datetime.fromtimestamp(body["created"], UTC) for body in bodies]

    def _tax_fees(self) -> None:
        self.stripe.office.account = replace(self.stripe.office.account, fee_tax_bps=FEE_TAX_BPS)

    # --- what happened ---

    def _complete_truth(self) -> None:
        for charge in self.truth.charges:
            self._complete_charge(charge)
        since = self.cutover.timestamp()
        for payout in self.stripe.office.store.find("payout", oldest_first=True):
            moved = self.stripe.office.store.find("balance_transaction", where={"_payout": payout["id"]})
            if payout["created"] < since:
                if datetime.fromtimestamp(payout["arrival_date"], UTC).date() >= self.cutover_day:
                    self.truth.payouts_over_cutover.append(payout["id"])
            elif any(body["created"] < since for body in moved):
                self.truth.mixed_payouts.append(payout["id"])

    def _complete_charge(self, charge: ChargeTruth) -> None:
        movement = self.stripe.office.get("charge", charge.id)["balance_transaction"]
        if movement is not None:
            charge.movement = movement
            charge.payout = self.stripe.office.get("balance_transaction", movement)["_payout"]


def counts_of(mix: dict[str, float], number: int) -> dict[str, int]:
    """Whole numbers in these proportions that add up; from forty on there is one of each at least."""
    whole = sum(mix.values())
    exact = {name: number * share / whole for name, share in mix.items()}
    least = 1 if number >= 40 else 0
    counts = {name: max(least, int(value)) for name, value in exact.items()}
    order = sorted(mix, key=lambda name: counts[name] - exact[name])
    while (missing := number - sum(counts.values())) > 0:
        for name in order[:missing]:
            counts[name] += 1
    counts["linked"] += number - sum(counts.values())
    return counts


# --- a world to work with ---


@dataclass
class World:
    """Both stand-ins, what is true of them, and how to reach them."""

    stripe: StripeEmulator
    qbo: QboEmulator
    clock: Clock
    truth: Truth
    announcement: dict[str, Any]
    people: list[Person]

    def tick(self) -> None:
        self.stripe.tick()
        self.stripe.deliver()
        self.qbo.tick()


def make_stripe(store: Store, clock: Clock, seed: int, *, taxed: bool) -> StripeEmulator:
    account = Account(
        name=COMPANY, email="books@larkspur.example", settlement_currencies=("usd", "jpy"),
        fee_tax_bps=FEE_TAX_BPS if taxed else 0,
    )  # fmt: skip
    return StripeEmulator(
        store, clock, Rng(f"{seed} stripe"), key=f"sk_test_{Rng(f'{seed} key').token(24)}", account=account
    )


def make_quickbooks(store: Store, clock: Clock, seed: int) -> QboEmulator:
    secrets = Rng(f"{seed} secrets")
    return QboEmulator(
        store, clock, Rng(f"{seed} quickbooks"), realm_id=REALM_ID, company_name=COMPANY, time_zone=ZONE,
        client_id=CLIENT_ID, client_secret=secrets.token(32), verifier_token=secrets.token(32),
    )  # fmt: skip


def announce(
    stripe: StripeEmulator, qbo: QboEmulator, stripe_address: str, qbo_address: str, cutover: str
) -> dict[str, Any]:
    """How any client reaches the two."""
    return {
        "stripe": {"api": stripe_address, "key": stripe.key},
        "quickbooks": {
            "api": f"{qbo_address}/v3",
            "discovery": f"{qbo_address}/.well-known/openid_configuration",
            "realm_id": qbo.realm_id,
            "company_name": COMPANY,
            "client_id": qbo.client_id,
            "client_secret": qbo.client_secret,
            "refresh_token": qbo.issue_tokens()["refresh_token"],
            "verifier_token": qbo.webhooks.verifier_token,
        },
        "cutover": cutover,
        "charge_without_invoice": "wait",
    }


@contextmanager
def open_world(
    seed: int = 7, months: int = 1, charges: int | None = 200, path: Path | None = None, until: datetime | None = None,
    *, ticking: bool = False, notes: int = 0,
) -> Iterator[World]:  # fmt: skip
    """Builds a world and serves it on loopback until the block ends.

    `path` is a folder for the two stores (default: memory). With `until` the clock stands still at that time, else it
    runs. With `ticking` time passes by itself (payouts, webhooks), else only through `World.tick`. `notes` are invoices
    with credit notes, beside the charges.
    """
    names = [str(path / name) if path else ":memory:" for name in ("stripe.db", "quickbooks.db")]
    stores = [Store(name) for name in names]
    clock = Clock()
    end = until or clock.now()
    clock.set(start_of(end, months))
    stripe, qbo = make_stripe(stores[0], clock, seed, taxed=False), make_quickbooks(stores[1], clock, seed)
    chance = Rng(f"{seed} world")
    truth = build(
        stripe, Bookkeeper(qbo), clock, chance, months=months, charges=charges, until=end, seed=seed, notes=notes
    )
    if until is None:
        clock.release()
    with ExitStack() as stack:
        addresses = [stack.enter_context(serve(app)) for app in (stripe.app, qbo.app)]
        if ticking:
            stack.enter_context(stripe.running())
        people = [Person(**row) for row in (qbo.store.get("world", "people") or {"rows": []})["rows"]]
        yield World(stripe, qbo, clock, truth, announce(stripe, qbo, addresses[0], addresses[1], truth.cutover), people)
        qbo.close()
    for store in stores:
        store.close()
